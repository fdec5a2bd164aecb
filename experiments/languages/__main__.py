"""Adapt speech systems to languages that they never heard, and learn languages one after another.

    python -m experiments.languages --preset quick                       # no data needed
    python -m experiments.languages --preset quick --target translation
    JAXMETA_DATA=DIR python -m experiments.languages --preset full       # hours

Few utterances: a recogniser of characters with one vocabulary for all languages is trained on several of them, then
meta-trained with languages as tasks; it meets new languages, Mandarin among them, in 5, 10 or 20 utterances, and is
scored on other phrases by voices that it never heard. Rates and steps are chosen on one more language.

One after another: languages are learnt in turn by fine-tuning, by fine-tuning with replay of some stored utterances,
and by progressive columns, each language with the same budget. Printed are the error of every language after every
step and the transfer, forward against learning from scratch and backward. Columns are told which language they hear;
the other two are not.

`--target translation` trains an encoder-decoder to write the English of phrases in other languages instead, and adapts
it to new source languages. Speech is synthesised, but for the full preset of transcription: that reads recorded words
from `zh_en_words` and `ar_commands` under JAXMETA_DATA, English and Arabic ones to train on and Mandarin ones to adapt
to, and writes labels of whole words. Writes results.json, results.md and plots. Expected numbers:
experiments/README.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from experiments.languages.recipes import (
    BEAM,
    CHOSEN_SHOTS,
    LONGEST_TRANSLATION,
    PRESETS,
    SHOTS,
    Preset,
    Recipe,
    Target,
)
from jaxmeta.recognition.presets import replaced

if TYPE_CHECKING:
    from experiments.languages.adaptation import Adaptation, Count
    from experiments.languages.data import Languages
    from experiments.languages.pretraining import Start
    from experiments.languages.systems import System

Part = Literal["few-shot", "sequence"]


@dataclass(frozen=True)
class Config:
    """Adaptation to languages, and learning them one after another."""

    preset: Preset = "quick"
    """Which speech, and how long to train."""
    target: Target = "transcription"
    """What is written: what is said, or its English translation."""
    parts: tuple[Part, ...] = ("few-shot", "sequence")
    """Which questions to answer; translation has no sequence."""
    methods: tuple[Literal["maml", "fomaml"], ...] = ("maml",)
    """How weights are meta-trained, beside those that are not."""
    updates: int | None = None
    """Updates of plain training, instead of the preset's."""
    meta_updates: int | None = None
    """Updates of meta-training, instead of the preset's."""
    language_updates: int | None = None
    """Updates for each language of the sequence, instead of the preset's."""
    draws: int | None = None
    """Support sets of each size for a language, instead of the preset's."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/languages")
    """Checkpoints, logs and results, a folder for each target; the same command resumes there."""


def main(config: Config) -> dict:
    """Train, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, or a working directory that holds another run.
    """
    from experiments.languages.report import write

    recipe = _recipe(config)
    languages = _languages(config, recipe)
    print(f"{languages.corpus.describe()}; {languages.vocabulary.size - 1} units", file=sys.stderr)
    few_shot = _few_shot(config, recipe, languages) if "few-shot" in config.parts else []
    matrices, transfer = [], []
    if "sequence" in config.parts and config.target == "transcription":
        matrices, transfer = _sequence(config, recipe, languages)
    return write(config.workdir / config.target, config.seed, languages, few_shot, matrices, transfer)


def _recipe(config: Config) -> Recipe:
    recipe = PRESETS[config.target, config.preset]
    given = {name: getattr(config, name) for name in ("updates", "language_updates", "draws")}
    return replaced(recipe, meta=replaced(recipe.meta, updates=config.meta_updates), **given)


def _languages(config: Config, recipe: Recipe) -> Languages:
    from experiments.languages.data import spoken_phrases
    from experiments.languages.words import recorded_words

    if config.preset == "full" and config.target == "transcription":
        return recorded_words(config.seed)
    return spoken_phrases(recipe.voices, config.seed, translated=config.target == "translation")


def _few_shot(config: Config, recipe: Recipe, languages: Languages) -> list[dict]:
    """Rows of the plainly trained and the meta-trained weights on languages never heard."""
    from experiments.languages.adaptation import choose, table
    from experiments.languages.pretraining import meta_train, pretrain

    system, count = _system(config, recipe, languages), _count(languages)
    start = _start(config, recipe, languages, system)
    params = {"fine-tuning": pretrain(start)}
    params |= {method: meta_train(start, method, params["fine-tuning"]) for method in config.methods}
    validation = _adaptation(config, recipe, languages, system, "val")
    chosen = [
        choose(method, weights, validation, count, recipe.rates, recipe.tuned_steps, CHOSEN_SHOTS)
        for method, weights in params.items()
    ]
    return table(chosen, _adaptation(config, recipe, languages, system, "test"), count, (0, *SHOTS))


def _system(config: Config, recipe: Recipe, languages: Languages) -> System:
    from experiments.languages.systems import transcriber, translator
    from jaxmeta.models.acoustic import Size

    network = (languages.vocabulary.size, recipe.encoder, Size(recipe.width, recipe.depth), recipe.dropout)
    if config.target == "translation":
        return translator(*network, longest=LONGEST_TRANSLATION, beam=BEAM)
    return transcriber(*network)


def _start(config: Config, recipe: Recipe, languages: Languages, system: System) -> Start:
    from experiments.languages.pretraining import Start
    from jaxmeta.recognition.training import augmentation

    decides = {name: getattr(recipe, name) for name in ("encoder", "width", "depth", "dropout")}
    workdir = config.workdir / config.target
    return Start(languages, system, recipe, augmentation(), workdir, config.seed, decides)


def _adaptation(config: Config, recipe: Recipe, languages: Languages, system: System, split: str) -> Adaptation:
    from experiments.languages.adaptation import Adaptation
    from experiments.languages.data import adaptation_to

    chosen = (languages.validation,) if split == "val" else languages.unseen
    episodes = adaptation_to(
        languages, chosen, split, shots=SHOTS, draws=recipe.draws, queries=recipe.queries, longest=recipe.longest,
        seed=config.seed,
    )  # fmt: skip
    return Adaptation(episodes, languages.vocabulary, system, config.workdir / config.target / split)


def _sequence(config: Config, recipe: Recipe, languages: Languages) -> tuple[list[dict], list[dict]]:
    from experiments.languages.sequence import Budget, Course, run_sequence
    from jaxmeta.data.augmentation.transforms import augment_episode
    from jaxmeta.recognition.training import augmentation

    budget = Budget(
        recipe.language_updates, recipe.rate, recipe.size, recipe.longest, recipe.stored, recipe.replayed,
        recipe.width, recipe.depth,
    )  # fmt: skip
    augment = augment_episode(augmentation(), on="query")
    workdir = config.workdir / config.target
    decides = {"seed": config.seed, "data": languages.fingerprints}
    return run_sequence(Course(languages, budget, augment, _count(languages), workdir, config.seed, decides))


def _count(languages: Languages) -> Count:
    """Errors in characters, or in words where words are what is written."""
    from jaxmeta.decoding.error_rates import character_edits, word_edits

    return character_edits if languages.vocabulary.level == "character" else word_edits


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.languages", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
