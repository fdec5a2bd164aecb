"""Learn to recognise new spoken words from one to five recordings of each.

    python -m experiments.spoken_words --preset quick                   # 2 minutes on two cores, no data needed
    JAXMETA_DATA=DIR python -m experiments.spoken_words --preset full   # an hour on two cores
    python -m experiments.spoken_words --workdir runs/spoken_words --evaluate FOLDER

A learner is meta-trained on words by many speakers and then meets words and speakers that it never heard. Its rows
stand beside a training-free floor (cosine prototypes of log-mels) and an honest baseline (the same network trained on
all training words as a classifier, for as many updates in the quick preset, then fine-tuned on the support set).

Trains on the manifests of `--corpora`, by default `zh_en_words` and `ar_commands` under JAXMETA_DATA where they are,
with synthesised words added; with no recordings at hand, on synthesised speech in ten languages alone. Writes
results.json, results.md and plots into the working directory. Expected numbers: experiments/README.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from experiments.spoken_words.recipes import METRIC, PRESETS, Name, Recipe

if TYPE_CHECKING:
    import numpy as np

    from experiments.spoken_words.evaluation import Test
    from experiments.spoken_words.learners import Network
    from experiments.spoken_words.methods import Method
    from jaxmeta.data.corpus import Corpus
    from jaxmeta.types import Episode


SETTINGS = ("learner", "estimator", "ways", "steps", "norm", "seed")
"""What decides the weights, besides the recipe and the data."""
BASELINE_RATE = 2e-3
STEPS_CURVE = (0, 1, 2, 5, 10)
COLUMNS = {
    "corpus": "", "method": "", "shots": "d", "steps": "d", "accuracy": ".1f", "ci95": ".1f", "episodes": "d",
    "diverged": ".3f", "transductive": "", "training_minutes": ".1f",
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Few-shot recognition of spoken words."""

    preset: Literal["quick", "full"] = "quick"
    """How long to train, and on how many synthesised words."""
    learner: Name = "protonet"
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
    evaluate: Path | None = None
    """Evaluate the learner's finished run on this manifest, by its own ways, and train nothing."""


def main(config: Config) -> dict:
    """Train, evaluate and write the results; returns what results.json holds.

    Raises:
      ValueError: bad data, or a working directory that holds another run or, with `evaluate`, none.
    """
    from jaxmeta.progress import stages

    with stages(5) as seconds:
        return _train_and_evaluate(config, seconds) if config.evaluate is None else _evaluate_elsewhere(config, seconds)


def _train_and_evaluate(config: Config, seconds: dict[str, float]) -> dict:
    from experiments.spoken_words.data import WordBatches, find_corpora, load_data, most_ways, task_sampler
    from jaxmeta.progress import stage

    recipe = _recipe(config)
    with stage("preparing the speech"):
        data = load_data(find_corpora(config.corpora), recipe.pseudo, config.seed)
    print(f"training on {data.train.describe()}", file=sys.stderr)
    ways = min(recipe.ways, most_ways(data.train)) if recipe.ways else config.ways
    words = WordBatches(data.train, 160, config.seed)
    run = {name: getattr(config, name) for name in SETTINGS} | {
        "recipe": recipe._asdict(),
        "training_ways": ways,
        "words": len(words.names),
        "data": data.fingerprints,
    }
    sampler = task_sampler(data.train, ways, recipe.batches, config.seed)
    methods = _methods(config, run, data.noise, sampler, words)
    return _report(config, methods, data.test, data.fingerprints, config.workdir / config.learner, seconds)


def _evaluate_elsewhere(config: Config, seconds: dict[str, float]) -> dict:
    """The rows of a finished run on another manifest, in a folder of their own under the run's."""
    import numpy as np

    from experiments.spoken_words.data import FEATURES, rows, with_splits
    from jaxmeta.data.corpus import load_corpus
    from jaxmeta.progress import stage

    assert config.evaluate is not None
    folder = config.workdir / config.learner
    path = folder / "run.json"
    if not path.exists():
        raise ValueError(f"--workdir {config.workdir} holds no run ({path} is missing); train one there first.")
    run = json.loads(path.read_text(encoding="utf-8"))
    trained = replace(config, **{name: run[name] for name in SETTINGS})
    with stage("preparing the speech"):
        corpus = load_corpus(config.evaluate, FEATURES)
    name = config.evaluate.resolve().name
    if corpus.fingerprint in run["data"].values():  # trained on: what was held out then is held out now
        corpus = with_splits(corpus, name, run["seed"])
    methods = _methods(trained, run, np.zeros((1, 1, FEATURES.n_mels)), _unfinished(path), _unfinished(path))
    fingerprints = run["data"] | {name: corpus.fingerprint}
    return _report(trained, methods, {name: rows(corpus, "test")}, fingerprints, folder / f"on_{name}", seconds)


def _unfinished(path: Path) -> Callable[[int], Episode]:
    def sampler(index: int) -> Episode:
        raise ValueError(f"the run of {path} stopped at update {index}; finish it with the command that began it.")

    return sampler


def _recipe(config: Config) -> Recipe:
    recipe = PRESETS[config.preset][config.learner]
    if config.updates is None:
        return recipe
    return recipe._replace(updates=config.updates, baseline_updates=config.updates)


def _methods(
    config: Config,
    run: dict,
    noise: np.ndarray,
    sampler: Callable[[int], Episode],
    words: Callable[[int], Episode],
) -> list[Method]:
    """The trained learner, the fine-tuned classifier and the floor."""
    from experiments.spoken_words.augmentation import augmentation
    from experiments.spoken_words.learners import warm
    from experiments.spoken_words.methods import classifier, fine_tuned, floor
    from jaxmeta.data.augmentation.transforms import augment_episode
    from jaxmeta.models.words import residual
    from jaxmeta.progress import stage
    from jaxmeta.training.fit import fit

    recipe = Recipe(**run["recipe"])
    network = partial(residual, width=recipe.width, norm=config.norm)
    shared = {"updates": recipe.baseline_updates, "width": recipe.width}  # whatever the learner
    training = {"augment": augment_episode(augmentation(noise)), "features": noise.shape[-1], "seed": config.seed}
    # Learners may ask for classifiers that were trained for longer.
    folder = config.workdir / f"baseline_{recipe.baseline_updates}"
    with stage("training the classifier"):
        baseline = fit(
            classifier(network, run["words"]), words, recipe.baseline_updates, BASELINE_RATE, folder, **training,
            config=shared | {name: run[name] for name in ("norm", "seed", "words", "data")},
        )  # fmt: skip
    start = warm(network, baseline.params) if recipe.start == "classifier" else network
    with stage(f"training {config.learner}"):
        method = _meta_trained(config, run, start, sampler, training)
    tuned = fine_tuned(network, baseline.params, baseline.state, config.ways, folder)
    return [method, tuned, floor(config.workdir)]


def _meta_trained(
    config: Config, run: dict, network: Network, sampler: Callable[[int], Episode], training: dict
) -> Method:
    from experiments.spoken_words.learners import learners
    from experiments.spoken_words.methods import Method, closed_form
    from jaxmeta import first_order, mixed_mode, unrolled
    from jaxmeta.training.fit import fit
    from jaxmeta.training.runlog import read_metrics

    recipe, folder = Recipe(**run["recipe"]), config.workdir / config.learner
    estimators = {"unrolled": unrolled(), "first_order": first_order(), "mixed_mode": mixed_mode(), None: None}
    build = learners(network, estimators[config.estimator])[config.learner]
    learner = build(run["training_ways"], config.steps)
    found = fit(learner, sampler, recipe.updates, recipe.rate, folder, **training, config=run)
    seconds = read_metrics(folder)[-1]["seconds"] if recipe.updates else 0.0
    if config.learner in METRIC:
        return closed_form(config.learner, network, found.params, found.state, folder, seconds, config.norm)
    return Method(config.learner, build, found.params, found.state, config.steps, folder, seconds)


def _report(
    config: Config, methods: list[Method], tested: dict[str, Corpus], data: dict, folder: Path,
    seconds: dict[str, float],
) -> dict:  # fmt: skip
    """Evaluate every method, print the table and write results.json, results.md and the plots."""
    from experiments.spoken_words.evaluation import Protocol, evaluate
    from experiments.spoken_words.plots import plot_accuracy, plot_steps
    from jaxmeta.progress import stage
    from jaxmeta.training.report import markdown_table, stamp, write_results

    protocol = Protocol(config.ways, config.queries, config.episodes, config.seed + 1, config.norm)
    table, curves = _tests(config, methods, tested)
    with stage("testing"):
        rows = evaluate(table + curves, protocol)
    with stage("writing the results"):
        run = stamp(config.seed, sys.argv, data)
        text = markdown_table(rows[: len(table)], COLUMNS)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.md").write_text(f"{text}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
        plot_accuracy(folder, rows[: len(table)])
        if config.curve:
            plot_steps(folder, rows, min(config.shots), STEPS_CURVE)
    run["seconds"] = dict(seconds)
    print(f"written to {write_results(folder, rows, run).parent}", file=sys.stderr)
    print(text)
    return {"rows": rows, "run": run}


def _tests(config: Config, methods: list[Method], tested: dict[str, Corpus]) -> tuple[list[Test], list[Test]]:
    """The rows of the table, and other numbers of inner steps for the curves."""
    from experiments.spoken_words.evaluation import Test

    table = [
        Test(method, name, corpus, shots, method.steps)
        for name, corpus in tested.items()
        for shots in config.shots
        for method in methods
    ]
    curves = [
        Test(method, name, corpus, min(config.shots), steps)
        for name, corpus in tested.items()
        for method in methods
        for steps in (STEPS_CURVE if config.curve and method.steps else ())
        if steps != method.steps
    ]
    return table, curves


if __name__ == "__main__":
    import tyro

    from experiments.process import begin

    config = tyro.cli(Config, prog="python -m experiments.spoken_words", description=__doc__)
    begin()
    main(config)
