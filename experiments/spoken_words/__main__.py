"""Learn to recognise new spoken words from one to five recordings of each.

    python -m experiments.spoken_words --preset quick                   # 2 minutes on two cores, no data needed
    JAXMETA_DATA=DIR python -m experiments.spoken_words --preset full   # an hour on two cores
    python -m experiments.spoken_words --workdir runs/spoken_words --evaluate FOLDER
    JAXMETA_DATA=DIR python -m experiments.spoken_words --compare --embedding FILE    # all learners, on an embedding
    JAXMETA_DATA=DIR python -m experiments.spoken_words --compare --invented 3000     # the main ones, on the network

A learner is meta-trained on words by many speakers and then meets words and speakers that it never heard. Its rows
stand beside a training-free floor (cosine prototypes of log-mels) and an honest baseline (the same network trained on
all training words as a classifier, for as many updates in the quick preset, then fine-tuned on the support set).

Trains on the manifests of `--corpora`, by default `zh_en_words` and `ar_commands` under JAXMETA_DATA where they are,
with synthesised words added; with no recordings at hand, on synthesised speech in ten languages alone. Writes
results.json, results.md and plots into the working directory. Expected numbers: experiments/README.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jaxmeta.words.presets import PRESETS, LearnerName

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus
    from jaxmeta.evaluation.few_shot import Method, Test

STEPS_CURVE = (0, 1, 2, 5, 10)


@dataclass(frozen=True)
class Config:
    """Few-shot recognition of spoken words."""

    preset: Literal["quick", "full", "metaaudio"] = "quick"
    """How long to train, and on how many synthesised words; metaaudio: network, tasks and budgets of that benchmark."""
    learner: LearnerName = "protonet"
    """What is meta-trained."""
    estimator: Literal["unrolled", "first_order", "mixed_mode"] | None = None
    """How the meta-gradient passes through the inner steps; None: exactly (mixed_mode) where the learner allows it."""
    corpora: tuple[str, ...] = ()
    """Manifests to train on and to be tested by: folders, or names under JAXMETA_DATA."""
    ways: int = 5
    """Classes of a test episode."""
    shots: tuple[int, ...] = (1, 5)
    """Recordings of each class to adapt to, in test episodes."""
    queries: int = 15
    """Recordings of each class to recognise, in test episodes."""
    steps: int = 5
    """Inner steps of learners that have them."""
    episodes: int = 600
    """Test episodes behind each row."""
    norm: Literal["layer", "batch", "transductive"] = "layer"
    """Normalisation of the network; with "transductive" a query set sees its own statistics."""
    curve: bool = False
    """Evaluate other numbers of inner steps too, at the fewest shots, and plot accuracy against them."""
    updates: int | None = None
    """Updates of the learner and of the baseline, instead of the preset's."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/spoken_words")
    """Checkpoints, logs and results, a folder for each learner and one for the baseline that they share; the same
    command resumes there, and computes no row twice."""
    compare: bool = False
    """Search, train and test learners with the same budget for each: all on frozen embeddings with `embedding`, and the
    main ones on the network itself without it."""
    embedding: tuple[Path, ...] = ()
    """For `compare`: a file of Google's speech embedding or EfficientWord-Net's ONNX file (extra "onnx"), a Whisper
    folder, or a working directory with a finished run of `protonet`; of several, vectors stand side by side."""
    invented: int | None = None
    """For `compare`: words to invent and to synthesise for training, besides those of other languages; None: training
    words are recorded ones alone."""
    evaluate: Path | None = None
    """Evaluate the learner's finished run on this manifest, by its own ways, and train nothing."""


def main(config: Config) -> dict:
    """Train, evaluate and write the results; returns what results.json holds.

    Raises:
      ValueError: bad data, or a working directory that holds another run or, with `evaluate`, none.
    """
    from jaxmeta.progress import stages

    if config.compare:
        with stages(2) as seconds:
            return _compare(config, seconds)
    with stages(5) as seconds:
        return _train_and_evaluate(config, seconds) if config.evaluate is None else _evaluate_elsewhere(config, seconds)


def _train_and_evaluate(config: Config, seconds: dict[str, float]) -> dict:
    from jaxmeta.data.word_corpora import find_corpora, find_noise, load_words, noise_features
    from jaxmeta.progress import stage
    from jaxmeta.words.training import train_words

    preset = PRESETS[config.preset][config.learner].with_updates(config.updates)
    with stage("preparing the speech"):
        data = load_words(find_corpora(config.corpora), invented=preset.pseudo, seed=config.seed)
        noise = noise_features(find_noise(), seed=config.seed)
    print(f"training on {data.train.describe()}", file=sys.stderr)
    methods = train_words(
        data.train, config.workdir, preset=preset, noise=noise, fingerprints=data.fingerprints, learner=config.learner,
        estimator=config.estimator, ways=config.ways, steps=config.steps, norm=config.norm, seed=config.seed,
    )  # fmt: skip
    return _report(config, methods, data.test, data.fingerprints, config.workdir / config.learner, seconds)


def _compare(config: Config, seconds: dict[str, float]) -> dict:
    from jaxmeta.data.word_corpora import find_corpora
    from jaxmeta.progress import stage
    from jaxmeta.training.report import stamp, write_tables
    from jaxmeta.words.embedded.comparison import compare_embedded
    from jaxmeta.words.embedded.embeddings import open_embedding
    from jaxmeta.words.embedded.stages import load_embedded

    if not config.embedding:
        return _compare_networks(config, seconds)
    folder = config.workdir / "comparison"
    with stage("embedding the recordings"):
        embeddings = [open_embedding(path) for path in config.embedding]
        words = load_embedded(embeddings, find_corpora(config.corpora), config.invented, config.seed)
    with stage("comparing learners"):
        tables, rows = compare_embedded(
            embeddings, words, folder, shots=config.shots, episodes=config.episodes, seed=config.seed
        )
    run = stamp(config.seed, sys.argv, words[0].fingerprints) | {"seconds": dict(seconds)}
    return write_tables(folder, tables, rows, run)


def _compare_networks(config: Config, seconds: dict[str, float]) -> dict:
    from jaxmeta.data.augmentation.recipes import word_augmentation
    from jaxmeta.data.augmentation.transforms import augment_episode
    from jaxmeta.data.word_corpora import find_corpora, find_noise, load_words, noise_features
    from jaxmeta.progress import stage
    from jaxmeta.training.report import stamp, write_tables
    from jaxmeta.words.network.comparison import compare_networks

    folder = config.workdir / "network_comparison"
    with stage("preparing the speech"):
        words = load_words(find_corpora(config.corpora), invented=config.invented, seed=config.seed)
        augment = augment_episode(word_augmentation(noise_features(find_noise(), seed=config.seed)))
    with stage("comparing learners"):
        tables, rows = compare_networks(
            words, augment, folder, shots=config.shots, episodes=config.episodes, seed=config.seed
        )
    run = stamp(config.seed, sys.argv, words.fingerprints) | {"seconds": dict(seconds)}
    return write_tables(folder, tables, rows, run)


def _evaluate_elsewhere(config: Config, seconds: dict[str, float]) -> dict:
    """The rows of a finished run on another manifest, in a folder of their own under the run's."""
    from jaxmeta.data.corpus import load_corpus
    from jaxmeta.data.word_corpora import FEATURES, rows, with_splits
    from jaxmeta.progress import stage
    from jaxmeta.words.training import trained_words

    assert config.evaluate is not None
    run, methods = trained_words(config.workdir, config.learner)
    with stage("preparing the speech"):
        corpus = load_corpus(config.evaluate, FEATURES)
    name = config.evaluate.resolve().name
    if corpus.fingerprint in run["data"].values():  # trained on: what was held out then is held out now
        corpus = with_splits(corpus, name, run["seed"])
    trained = replace(config, ways=run["ways"], norm=run["norm"], seed=run["seed"])
    folder = config.workdir / config.learner / f"on_{name}"
    fingerprints = run["data"] | {name: corpus.fingerprint}
    return _report(trained, methods, {name: rows(corpus, "test")}, fingerprints, folder, seconds)


def _report(
    config: Config, methods: list[Method], tested: dict[str, Corpus], data: dict, folder: Path,
    seconds: dict[str, float],
) -> dict:  # fmt: skip
    """Evaluate every method, print the table and write results.json, results.md and the plots."""
    from jaxmeta.evaluation.few_shot import Protocol, evaluate, write_report
    from jaxmeta.evaluation.plots import plot_accuracy, plot_steps
    from jaxmeta.progress import stage
    from jaxmeta.training.report import stamp

    protocol = Protocol(config.ways, config.queries, config.episodes, config.seed + 1, config.norm)
    shown, curves = _tests(config, methods, tested)
    with stage("testing"):
        rows = evaluate(shown + curves, protocol)
    with stage("writing the results"):
        run = stamp(config.seed, sys.argv, data)
        plot_accuracy(folder, rows[: len(shown)])
        if config.curve:
            plot_steps(folder, rows, min(config.shots), STEPS_CURVE)
    run["seconds"] = dict(seconds)
    print(write_report(folder, rows[: len(shown)], run, beside=rows[len(shown) :]))
    return {"rows": rows, "run": run}


def _tests(config: Config, methods: list[Method], tested: dict[str, Corpus]) -> tuple[list[Test], list[Test]]:
    """The rows of the table, and other numbers of inner steps for the curves."""
    from jaxmeta.evaluation.few_shot import Test, tests
    from jaxmeta.learners.learned_rates import remark_on_steps

    if config.curve and (remark := remark_on_steps(config.learner, config.steps, STEPS_CURVE)):
        print(f"warning: {remark}", file=sys.stderr)
    curves = [
        Test(method, name, corpus, min(config.shots), steps)
        for name, corpus in tested.items()
        for method in methods
        for steps in (STEPS_CURVE if config.curve and method.steps else ())
        if steps != method.steps
    ]
    return tests(methods, tested, config.shots), curves


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.spoken_words", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
