"""What does a public Whisper of many languages make of the words of the map, without any adaptation?

    JAXMETA_DATA=DIR python -m experiments.adaptation_map.zero_shot --base whisper-base

It is told the language, and recognises utterances that the map tests languages with. Writes results.json and
results.md. All numbers: README.md in the folder above.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LANGUAGES = {"zh": "zh", "ar-test": "ar"}
"""Name in the corpus -> code of the language, ISO 639-1."""
COLUMNS: dict[str, str | tuple[str, str, str]] = {"shift": "", "method": "", "error": ("error", "", ".1f")}


@dataclass(frozen=True)
class Config:
    """Errors of a public Whisper on words of other languages."""

    base: Path
    """Folder of a Whisper of many languages, such as base."""
    utterances: int = 60
    """Of each language, 1 or more."""
    workdir: Path = Path("runs/zero_shot")
    """Results."""


def main(config: Config) -> dict[str, Any]:
    """Recognise, and write the results; returns what results.json holds.

    Raises:
      ValueError: JAXMETA_DATA lacks a corpus, the folder is no Whisper, or `utterances` is below 1.
    """
    if config.utterances < 1:
        raise ValueError(f"utterances={config.utterances} must be 1 or more.")
    from experiments.adaptation_map.__main__ import PRESETS
    from experiments.adaptation_map.data import frozen_encoder, recorded_words, spellings
    from jaxmeta.recognition.pretrained.whisper import load_whisper
    from jaxmeta.recognition.shifts.zero_shot import zero_shot_row
    from jaxmeta.training.report import interval_table, stamp, write_tables

    encoder = frozen_encoder(config.base, config.workdir, 0)
    words = recorded_words(encoder.features, encoder.frames_out, PRESETS["full"].words).others
    whisper = load_whisper(config.base)
    rows = [
        zero_shot_row(whisper, words, name, code, spellings(name), config.utterances)
        for name, code in LANGUAGES.items()
    ]
    stamped = stamp(0, sys.argv, {"encoder": encoder.sha256, "words": words.fingerprint})
    return write_tables(config.workdir, interval_table(rows, COLUMNS), rows, stamped)


if __name__ == "__main__":
    import tyro

    given = tyro.cli(Config, prog="python -m experiments.adaptation_map.zero_shot", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(given)
