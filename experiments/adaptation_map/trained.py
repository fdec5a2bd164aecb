"""Channels and words on a Whisper, public or trained by `jaxmeta train recogniser --base`: gain of adaptation and harm.

    JAXMETA_DATA=DIR python -m experiments.adaptation_map.trained --what words --recogniser whisper-tiny.en
    JAXMETA_DATA=DIR python -m experiments.adaptation_map.trained --what channels --recogniser FOLDER

Words: ten words are named to the recogniser, or taught by recordings of other speakers; recall of them in other
sentences, and errors in sentences without them. Channels: each test speaker through a telephone, rooms and noise.
Either the bands of log-mels are aligned with those of training speakers, by utterances without transcripts, or all
adapters learn from transcribed utterances of training speakers in the channel. All choices are made on validation
words, speakers and channels. All numbers: README.md in this folder.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

COLUMNS: dict[str, str | tuple[str, str, str]] = {
    "part": "", "shift": "", "method": "", "utterances": "d", "error": ("error", "", ".1f"),
    "change": ("change", "", "+.1f"), "elsewhere": ("elsewhere", "", ".1f"), "harm": ("harm", "", "+.1f"),
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Which recogniser meets which shift."""

    what: Literal["words", "channels"]
    """Shift."""
    recogniser: Path = Path("whisper-tiny.en")
    """Folder of a Whisper, or of adapters that were trained on many speakers."""
    base: Path | None = None
    """Of the adapters, where it has moved."""
    queries: int = 6
    """Utterances of each speaker, or with each word, to recognise."""
    seed: int = 0
    """Of the draws of utterances and of adaptation."""
    workdir: Path = Path("runs/trained")
    """Results."""


def main(config: Config) -> None:
    """Measure, and write results.json and results.md anew after each row."""
    from experiments.adaptation_map.data import recorded_sentences
    from experiments.adaptation_map.on_whisper import read
    from jaxmeta.training.report import interval_table, stamp, write_tables

    if config.what == "words":
        from experiments.adaptation_map.named_words import rows
    else:
        from experiments.adaptation_map.heard_through import rows
    base = read(config.recogniser, config.base)
    sentences = recorded_sentences(base.recogniser.features)
    stamped = stamp(config.seed, sys.argv, {"sentences": sentences.corpus.fingerprint})
    written: list[dict[str, Any]] = []
    for row in rows(base, sentences, config.queries, config.seed):
        written.append(row)
        write_tables(config.workdir, interval_table(written, COLUMNS), written, stamped)


if __name__ == "__main__":
    import tyro

    given = tyro.cli(Config, prog="python -m experiments.adaptation_map.trained", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(given)
