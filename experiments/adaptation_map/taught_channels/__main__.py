"""Does a whole trained recogniser learn a channel from a few utterances of other people in it?

    JAXMETA_DATA=DIR python -m experiments.adaptation_map.taught_channels --recogniser FOLDER

The adapters in all layers of a Whisper, as `jaxmeta train recogniser --base` trains them, go on learning from 5 or 10
utterances over a telephone, in a room or in noise, each by another speaker. Whose adapters learn, the rate and the
steps are chosen in other channels. The control learns from the same utterances without the channel.

Writes results.json and results.md, anew after each channel. All numbers: README.md in the folder above.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUERIES = 5
"""Utterances of each test speaker that are recognised in a channel."""
COLUMNS: dict[str, str | tuple[str, str, str]] = {
    "shift": "", "method": "", "utterances": "d", "rate": "g", "steps": "d", "error": ("error", "", ".1f"),
    "change": ("change", "", "+.1f"), "own": ("own", "", "+.1f"), "harmed": "d", "groups": "d", "part": "",
    "avoided, %": ("avoided", "", ".1f"),
}  # fmt: skip
GATE_COLUMNS: dict[str, str | tuple[str, str, str]] = {
    "shift": "", "method": "", "utterances": "d", "adopted": "d", "groups": "d",
    "error with the gate": ("gated", "", ".1f"), "harmed": "d", "draws": "d",
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Gain of adapting a trained Whisper to a channel."""

    recogniser: Path
    """Folder of a Whisper with adapters in all layers."""
    base: Path | None = None
    """Of its base, where that has moved."""
    seed: int = 0
    """Of the utterances that teach."""
    workdir: Path = Path("runs/taught_channels")
    """Results."""


def main(config: Config) -> dict[str, Any]:
    """Adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: JAXMETA_DATA lacks a corpus, the folder has no adapters, or not all layers have some.
    """
    from experiments.adaptation_map.data import recorded_sentences
    from jaxmeta.recognition.pretrained.adapter import read_adapted
    from jaxmeta.recognition.shifts.taught_channels import channel_rows
    from jaxmeta.training.report import interval_table, stamp, write_tables

    trained = read_adapted(config.recogniser, config.base)
    sentences = recorded_sentences(trained.recogniser.features)
    fingerprints = {"base": trained.card.base_sha256, "sentences": sentences.corpus.fingerprint}
    rows: list[dict[str, Any]] = []
    gates: list[dict[str, Any]] = []
    result: dict[str, Any] = {}
    for gains, gate in channel_rows(trained, sentences, queries=QUERIES, seed=config.seed):
        rows, gates = rows + gains, [*gates, gate]
        tables = f"{interval_table(rows, COLUMNS)}\n{interval_table(gates, GATE_COLUMNS)}"
        result = write_tables(config.workdir, tables, rows + gates, stamp(config.seed, sys.argv, fingerprints))
    return result


if __name__ == "__main__":
    import tyro

    given = tyro.cli(Config, prog="python -m experiments.adaptation_map.taught_channels", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(given)
