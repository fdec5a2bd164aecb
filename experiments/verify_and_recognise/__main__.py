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

from experiments.verify_and_recognise.recipes import PRESETS, SENTENCE_UPDATES, Recipe

if TYPE_CHECKING:
    from experiments.verify_and_recognise.data import Spoken
    from experiments.verify_and_recognise.report import Table
    from jaxmeta.verification.training import System


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
    from experiments.verify_and_recognise.data import recorded, synthesised
    from experiments.verify_and_recognise.report import plot_errors
    from experiments.verify_and_recognise.try_out import copy_recordings
    from jaxmeta.training.report import stamp, write_results
    from jaxmeta.verification.gate import make_gate
    from jaxmeta.verification.training import Training

    make_gate(config.prior, config.sure)
    recipe = _recipe(config)
    data = (recorded if config.preset == "full" else synthesised)(recipe.pseudo, config.seed)
    training = Training(
        data.words, data.speakers, config.workdir, noise=data.noise, fingerprints=data.fingerprints, ways=recipe.ways,
        shots=recipe.words, clips=recipe.clips, updates=recipe.updates, rate=recipe.rate, seed=config.seed,
    )  # fmt: skip
    systems = (training.words(recipe.width), training.speakers(recipe.width), training.fused(recipe.shared))
    copy_recordings(data, config.workdir)
    run = stamp(config.seed, sys.argv, data.fingerprints)
    tables, drawn = _measure(config, recipe, data, systems, run)
    text = "\n".join(table.show() for table in tables)
    print(text)
    (config.workdir / "results.md").write_text(f"{text}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
    rows = [{"table": table.title} | row for table in tables for row in table.rows]
    write_results(config.workdir, rows, run)
    plot_errors(config.workdir, drawn)
    return {"rows": rows, "run": run}


def _measure(
    config: Config, recipe: Recipe, data: Spoken, systems: tuple[System, System, System], run: dict
) -> tuple[list[Table], dict]:
    """All tables, and the trials that curves are drawn of; the assistant is written on the way."""
    from experiments.verify_and_recognise.report import (
        VERIFICATION,
        WORDS,
        Table,
        across_languages,
        recognised,
        verified,
    )
    from experiments.verify_and_recognise.sentences import shared_trunk
    from experiments.verify_and_recognise.use import used
    from jaxmeta.verification.assistant import save_assistant
    from jaxmeta.verification.building import make_assistant, voices_of
    from jaxmeta.verification.gate import Gate
    from jaxmeta.verification.trials import PRIOR
    from jaxmeta.verification.voices import floor

    seed, workdir, (words, speakers, fused) = config.seed, config.workdir, systems
    choices = [voices_of(system, data.speakers, seed) for system in (speakers, fused)]
    one = make_assistant(
        fused, choices[1], words=data.words, val=data.val, val_words=data.val_words, noise=data.noise,
        width=recipe.shared, seed=seed, origin=run,
    )  # fmt: skip
    save_assistant(workdir / "assistant", one)
    choices = [choice if one.card.top else choice._replace(cohort=None) for choice in choices]
    rows, drawn = verified([*choices, floor()], data, seed)
    if config.recogniser is not None:
        updates = config.updates or SENTENCE_UPDATES
        head, sentences = shared_trunk(config.recogniser, data, updates, recipe.rate, seed, workdir)
        found, curves = verified([head], sentences, seed)
        rows += found
        drawn = {title: each | curves.get(title, {}) for title, each in drawn.items()}
    title = f"Speakers that no network heard; minDCF at a prior of {PRIOR:g} and equal costs"
    tables = [Table(title, rows, VERIFICATION)]
    if crossed := across_languages(choices, data, seed):
        tables.append(Table("Enrolled in one language, verified in another", crossed, VERIFICATION))
    tables.append(Table("New words by new speakers, 5-way", recognised([words, fused], data, seed), WORDS))
    gate = Gate(config.prior, config.sure)
    return tables + used(one, fused, choices[1], data, gate, seed, workdir), drawn


def _recipe(config: Config) -> Recipe:
    recipe = PRESETS[config.preset]
    return recipe if config.updates is None else recipe._replace(updates=config.updates)


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.verify_and_recognise", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
