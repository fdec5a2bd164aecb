"""Adapt a speech recogniser to a new speaker from one to ten transcribed utterances.

    python -m experiments.adapt_asr --preset quick                  # 6 minutes of processor time, no data
    JAXMETA_DATA=DIR python -m experiments.adapt_asr --preset full  # hours

A CTC recogniser of characters is trained on many speakers at once. Then speakers that it never heard each give a few
utterances, and every method adapts it to them on the same protocol: fine-tuning (all weights, the head, norms and
biases, low-rank adapters), second-order MAML through CTC and its relatives, meta-trained from the same weights, and
test-time adaptation without transcripts. Rates and steps are chosen on validation speakers, with the same grid for all.
Each speaker is recognised by what adapted to another one, too: what any inner step gives is not the voice. Then what
adaptation may break: errors on the speakers of training (forgetting), and a gate that adapts only where the
cross-validated gain on the support set is certain.

The quick preset synthesises short English sentences with accents; the full one reads `en_nonnative_sentences` under
JAXMETA_DATA. Writes results.json, results.md, plots, and a folder `recogniser` that `jaxmeta adapt` and `jaxmeta
transcribe` take; the quick one also `voice`, twenty recordings of a voice to try them on. Expected numbers:
experiments/README.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from experiments.adapt_asr.recipes import (
    CHOSEN_SHOTS,
    PLAIN,
    PRESETS,
    QUICK_METHODS,
    SEARCH_COLUMNS,
    TABLE_SHOTS,
    Recipe,
)
from jaxmeta.recognition.meta_training import replaced

if TYPE_CHECKING:
    from experiments.adapt_asr.data import SpeechData
    from experiments.adapt_asr.methods import Method
    from experiments.adapt_asr.protocol import Protocol
    from experiments.adapt_asr.report import Trained
    from jaxmeta.recognition.recogniser import Recogniser
    from jaxmeta.types import PyTree


@dataclass(frozen=True)
class Config:
    """Adaptation of a recogniser to new speakers."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech, and how long to train."""
    methods: tuple[str, ...] = ()
    """Which methods; none: all of them (full), or some of each kind (quick)."""
    updates: int | None = None
    """Updates of plain training, instead of the preset's."""
    meta_updates: int | None = None
    """Updates of meta-training, instead of the preset's."""
    curves: bool = True
    """Evaluate other numbers of steps, and a language model, too."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/adapt_asr")
    """Checkpoints, logs and results; the same command resumes there."""


def main(config: Config) -> dict:
    """Train, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, an unknown method, or a working directory that holds another run.
    """
    from experiments.adapt_asr.data import copy_voice
    from experiments.adapt_asr.methods import methods
    from experiments.adapt_asr.report import choose, curve_of_steps, finalists, table
    from experiments.adapt_asr.safety import forgetting, gate
    from experiments.adapt_asr.search import language_model
    from experiments.adapt_asr.training import train_stages
    from jaxmeta.models.acoustic import Size

    data, recipe = _data(config), _recipe(config)
    known = methods(data.vocabulary.size, recipe.encoder, Size(recipe.width, recipe.depth))
    names = config.methods or (QUICK_METHODS if config.preset == "quick" else tuple(known))
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"methods has {unknown[0]!r}; there are {', '.join(known)}.")
    print(f"training on {data.train.describe()}, {data.vocabulary.size - 1} characters", file=sys.stderr)
    weights = train_stages(recipe, data, config.seed, config.workdir)
    params = {name: _params(name, known[name], config, recipe, data, weights) for name in names}
    validation, test, others = _protocols(data, config, recipe)
    chosen = {name: choose(name, known[name], params[name], validation, recipe.meta.inner_rate) for name in names}
    _keep_recogniser(config, recipe, data, chosen)
    if config.preset == "quick":
        copy_voice(data, config.workdir / "voice")
    rows, final = table(chosen, test, others), finalists({name: chosen[name] for name in names if known[name].labels})
    curve = curve_of_steps(final, test) if config.curves else []
    safety = [gate(method, test) | forgetting(method, test, data.train, config.seed) for method in final]
    one = _recogniser(config, recipe, data, weights)
    search = [language_model(one, data.train, data.val, config.workdir)] if config.curves else []
    return _write(config, data, rows, curve, safety + search)


def _data(config: Config) -> SpeechData:
    from experiments.adapt_asr.data import recorded_sentences, synthesised_sentences, widened

    if config.preset == "quick":
        return synthesised_sentences(config.seed)
    return widened(recorded_sentences(), config.seed)


def _recipe(config: Config) -> Recipe:
    return replaced(PRESETS[config.preset], config.meta_updates, updates=config.updates)


def _params(name: str, method: Method, config: Config, recipe: Recipe, data: SpeechData, weights: PyTree) -> PyTree:
    """What a method starts from with a new speaker: meta-trained, or the plain weights in its own form."""
    from experiments.adapt_asr.training import decides
    from jaxmeta.data.augmentation.transforms import augment_episode
    from jaxmeta.recognition.training import augmentation, average_of_speakers, speaker_tasks
    from jaxmeta.training.fit import fit

    meta = recipe.meta
    start = method.start(weights, meta.inner_rate)
    if method.average:
        return average_of_speakers(
            method.build(meta.inner_rate, meta.steps), start, data.train, data.vocabulary, config.seed
        )
    if method.meta is None:
        return start
    return fit(
        method.meta((method.scale or 1.0) * meta.inner_rate, meta.steps),
        speaker_tasks(data.train, data.vocabulary, meta, config.seed),
        meta.updates, meta.rate, config.workdir / name, augment=augment_episode(augmentation()), seed=config.seed,
        features=data.train.frames.shape[1], params=start,
        config=decides(recipe, data, config.seed, PLAIN) | meta.decides() | {"method": name},
    ).params  # fmt: skip


def _protocols(data: SpeechData, config: Config, recipe: Recipe) -> tuple[Protocol, ...]:
    """Validation, test, and test by what adapted to others; padded alike so that a method's programs serve them all."""
    from experiments.adapt_asr.protocol import Protocol, padded_lengths, supports_of_others
    from jaxmeta.data.sampling.support_query_splits import adaptation_episodes

    val, test = (
        adaptation_episodes(corpus, data.vocabulary, supports=(0, *TABLE_SHOTS), query=10, seed=config.seed)
        for corpus in (data.val, data.test)
    )
    lengths = padded_lengths((val, test), recipe.padded)
    parts = {"val": val, "test": test, "others": supports_of_others(test)}
    return tuple(Protocol(part, data.vocabulary, config.workdir / name, lengths) for name, part in parts.items())


def _keep_recogniser(config: Config, recipe: Recipe, data: SpeechData, chosen: dict[str, Trained]) -> None:
    """The best recogniser on validation speakers, among those that `jaxmeta adapt` can adapt, as a folder."""
    from jaxmeta.recognition.recogniser import save_recogniser

    adapts = {"maml": "all", "fomaml": "all", "reptile": "all", "speaker average": "all", "anil": "head"}
    adapts |= {f"fine-tune {name}": name for name in ("all", "head", "norms")}
    if able := [method for name, method in chosen.items() if name in adapts]:
        best = min(able, key=lambda method: method.error)
        one = _recogniser(config, recipe, data, best.params)
        origin = one.card.origin | {"method": best.name}
        card = replace(one.card, adaptation=adapts[best.name], rate=best.rate, steps=best.steps, origin=origin)
        save_recogniser(config.workdir / "recogniser", one._replace(card=card))


def _recogniser(config: Config, recipe: Recipe, data: SpeechData, params: PyTree) -> Recogniser:
    from jaxmeta.models.acoustic import Size
    from jaxmeta.recognition.corpora import FEATURES
    from jaxmeta.recognition.recogniser import Card, Recogniser
    from jaxmeta.training.report import stamp

    origin = stamp(config.seed, sys.argv, data.fingerprints)
    card = Card(recipe.encoder, Size(recipe.width, recipe.depth), FEATURES, origin=origin)
    return Recogniser(card, data.vocabulary, params)


def _write(config: Config, data: SpeechData, rows: list[dict], curve: list[dict], more: list[dict]) -> dict:
    """Print the tables and write results.json, results.md and the plots."""
    from experiments.adapt_asr.report import plot, show, show_safety
    from jaxmeta.training.report import markdown_table, stamp, write_results

    run = stamp(config.seed, sys.argv, data.fingerprints)
    kinds = {key: [found for found in more if key in found] for key in ("gated", "greedy")}
    text = "\n".join([show(rows), show_safety(kinds["gated"]), markdown_table(kinds["greedy"], SEARCH_COLUMNS)])
    print(text)
    config.workdir.mkdir(parents=True, exist_ok=True)
    (config.workdir / "results.md").write_text(f"{text}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
    write_results(config.workdir, rows + curve + more, run)
    plot(config.workdir, "utterances", rows, "shots", "utterances of the speaker")
    if curve:
        plot(config.workdir, "steps", curve, "steps", f"inner steps on {CHOSEN_SHOTS} utterances")
    return {"rows": rows + curve + more, "run": run}


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.adapt_asr", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
