"""Does a compressed network still adapt, and does an adapted one still compress?

    python -m experiments.compress --preset quick                  # minutes on two cores, no data
    JAXMETA_DATA=DIR python -m experiments.compress --preset full  # hours

A word model (a prototypical network) and a recogniser (CTC) are trained, compressed in every way that the package
knows, and adapted then: to five recordings of each of five new words, and to five utterances of a new speaker. Weights
are rounded to bfloat16, int8 and int4; cut one by one, at once or with training again from the weights of an early
stage (rewinding); cut by whole channels, whose arrays then are smaller; and trained to be rounded. The other order,
adapted and then compressed, stands beside. A device would keep one compressed network, and for each user the prototypes
of the words, or the differences of scales and biases.

The quick preset synthesises speech; the full one reads recordings under JAXMETA_DATA, and takes the recogniser of
`adapt_asr` where `--speech` names its working directory. Needs the extra "quant"; the extra "onnx" adds latencies in
onnxruntime. Writes results.json, results.md and plots. Expected numbers: experiments/README.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from experiments.compress.recipes import PLANS, Plan, Training

if TYPE_CHECKING:
    from experiments.compress.variants import System

Name = Literal["words", "recogniser"]


@dataclass(frozen=True)
class Config:
    """Compression, before and after adaptation."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech, and how long to train."""
    networks: tuple[Name, ...] = ("words", "recogniser")
    """Which networks."""
    updates: int | None = None
    """Updates of every training, instead of the preset's."""
    latency: bool = True
    """Measure how long a clip and an adaptation take, too."""
    speech: Path | None = None
    """Working directory of `adapt_asr` of the same preset and seed, whose recogniser is taken; none: it is trained."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/compress")
    """Checkpoints, logs and results; the same command resumes there."""


def main(config: Config) -> dict:
    """Train, compress, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, or a working directory that holds another run.
      ImportError: the extra "quant" is missing.
    """
    from experiments.compress.latency import latencies
    from experiments.compress.report import measured
    from experiments.compress.variants import variants

    rows, times, data = [], [], {}
    for name in config.networks:
        system, again = _system(config, name)
        found, compressed = measured(system, variants(system, again))
        rows += found
        data |= system.fingerprints
        if config.latency:
            times += latencies(system, compressed, config.workdir / name / "onnx")
    return _write(config, rows, times, data)


def _system(config: Config, name: Name) -> tuple[System, Training]:
    """A network, and how it is trained again."""
    from experiments.compress.speech import Speech
    from experiments.compress.words import Words

    plan, recorded = _plan(config), config.preset == "full"
    if name == "words":
        folder = config.workdir / name
        return Words(plan.words, plan.words_early, config.seed, folder, recorded), plan.words_again
    return Speech(plan.speech, config.seed, config.workdir / name, config.speech, recorded), plan.speech_again


def _plan(config: Config) -> Plan:
    plan, updates = PLANS[config.preset], config.updates
    if updates is None:
        return plan
    return plan._replace(
        words=plan.words._replace(updates=updates), words_early=updates,
        speech=plan.speech._replace(
            training=plan.speech.training._replace(updates=updates), early=min(updates, plan.speech.early)
        ),
    )  # fmt: skip


def _write(config: Config, rows: list[dict], times: list[dict], data: dict[str, str]) -> dict:
    """Print the tables and write results.json, results.md and the plots."""
    from experiments.compress.report import plot, show, show_latency
    from jaxmeta.training.report import stamp, write_results

    run = stamp(config.seed, sys.argv, data)
    text = "\n".join([show(rows), *([show_latency(times)] if times else [])])
    print(text)
    config.workdir.mkdir(parents=True, exist_ok=True)
    (config.workdir / "results.md").write_text(f"{text}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
    write_results(config.workdir, rows + times, run)
    plot(config.workdir, rows)
    return {"rows": rows + times, "run": run}


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.compress", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
