"""Who is speaking and what is said: two networks, or one that does both with half of their weights?

    python -m experiments.verify_and_recognise --preset quick                  # minutes on two cores, no data
    JAXMETA_DATA=DIR python -m experiments.verify_and_recognise --preset full  # two hours on two cores

A network for words (prototypical), one for speakers (margin softmax over all training speakers) and a fused one, whose
two heads share a trunk and whose losses are weighed by learned uncertainties, are trained on the same batches. Speakers
that none of them heard then enrol with 1, 3 or 5 clips and are verified, in silence and in noise, and across languages;
words that none of them heard are recognised. The fused network becomes an assistant with calibrated scores: its gate
lets words be recognised and adapted to only for the voice that is enrolled, and it looks for enrolled words among
others, and in hours of background where there are none.

The quick preset synthesises speech; the full one reads recordings under JAXMETA_DATA. `--recogniser` adds a CTC
recogniser whose frozen trunk tells speakers apart. Writes results.json, results.md, plots, the assistant for
`jaxmeta enroll`, and recordings of a voice and of others to try it on. Expected numbers: experiments/README.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from experiments.verify_and_recognise.recipes import PRESETS, Recipe

if TYPE_CHECKING:
    from experiments.verify_and_recognise.training import System


@dataclass(frozen=True)
class Config:
    """Verification and recognition, apart and fused."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech, and how long to train."""
    updates: int | None = None
    """Updates of every training, instead of the preset's."""
    recogniser: Path | None = None
    """Folder of a recogniser of sentences, as `adapt_asr --preset full` writes it; its trunk is shared, too."""
    prior: float = 0.5
    """Probability that it is the user who speaks, before anything is heard; of the gate."""
    sure: float = 0.9
    """Probability afterwards from which the user is accepted; below 1 - sure the speaker is rejected."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/verify_and_recognise")
    """Checkpoints, logs and results; the same command resumes there."""


def main(config: Config) -> dict:
    """Train, enrol, verify and recognise, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, or a working directory that holds another run.
    """
    from experiments.verify_and_recognise.assistant import make_assistant, voices_of
    from experiments.verify_and_recognise.data import recorded, synthesised
    from experiments.verify_and_recognise.report import (
        across_languages, plot_errors, recognised, show_recognised, show_verified, verified,
    )  # fmt: skip
    from experiments.verify_and_recognise.training import train_system
    from experiments.verify_and_recognise.try_out import copy_recordings
    from experiments.verify_and_recognise.use import used
    from experiments.verify_and_recognise.verification import floor
    from jaxmeta.training.report import stamp, write_results
    from jaxmeta.verification.assistant import save_assistant
    from jaxmeta.verification.gate import make_gate

    gate, recipe = make_gate(config.prior, config.sure), _recipe(config)
    data = (recorded if config.preset == "full" else synthesised)(recipe.pseudo, config.seed)
    systems: dict[str, System] = {
        name: train_system(name, data, recipe, config.seed, config.workdir) for name in ("words", "speakers", "fused")
    }
    run = stamp(config.seed, sys.argv, data.fingerprints)
    one = make_assistant(systems["fused"], data, recipe.shared, config.seed, run)
    save_assistant(config.workdir / "assistant", one)
    copy_recordings(data, config.workdir)
    choices = [voices_of(systems[name], data, config.seed) for name in ("speakers", "fused")]
    choices = [choice if one.card.top else choice._replace(cohort=None) for choice in choices]
    rows, drawn = verified([*choices, floor()], data, config.seed)
    crossed = across_languages(choices[:2], data, config.seed)
    words = recognised([systems["words"], systems["fused"]], data, config.seed)
    use = used(one, systems["fused"], choices[1], data, gate, config.seed, config.workdir)
    text = "\n".join([show_verified(rows), *([show_verified(crossed)] if crossed else []), show_recognised(words), *use])
    print(text)
    (config.workdir / "results.md").write_text(f"{text}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
    write_results(config.workdir, rows + crossed + words, run)
    plot_errors(config.workdir, drawn)
    return {"rows": rows + crossed + words, "run": run}


def _recipe(config: Config) -> Recipe:
    recipe = PRESETS[config.preset]
    return recipe if config.updates is None else recipe._replace(updates=config.updates)


if __name__ == "__main__":
    import tyro

    from experiments.process import begin

    config = tyro.cli(Config, prog="python -m experiments.verify_and_recognise", description=__doc__)
    begin()
    main(config)
