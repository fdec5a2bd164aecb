"""Training of few-shot learners of spoken words, beside a classifier of all training words and the floor."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxmeta import Episode, first_order, mixed_mode, unrolled
from jaxmeta.data.augmentation.recipes import word_augmentation
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.word_tasks import WordBatches, most_ways, task_sampler
from jaxmeta.data.word_corpora import FEATURES
from jaxmeta.evaluation.few_shot import Method
from jaxmeta.evaluation.few_shot_baselines import encoded, fine_tuned, floor
from jaxmeta.files.sealed import read_sealed
from jaxmeta.losses import cross_entropy
from jaxmeta.models.clip_encoders import Norm, conv4, residual
from jaxmeta.models.heads import Network, warm
from jaxmeta.progress import stage
from jaxmeta.training.fit import fit, supervised
from jaxmeta.training.runlog import read_metrics
from jaxmeta.types import Model, PyTree
from jaxmeta.words.learners import learners
from jaxmeta.words.presets import METRIC, LearnerName, WordsPreset

BASELINE_RATE, BASELINE_CLIPS = 2e-3, 160
"""Peak learning rate of the classifier, and recordings of each of its batches."""
EstimatorName = Literal["unrolled", "first_order", "mixed_mode"]
Sampler = Callable[[int], Episode]


def train_words(
    corpus: Corpus,
    folder: Path,
    *,
    preset: WordsPreset,
    noise: np.ndarray,
    fingerprints: Mapping[str, str],
    learner: LearnerName = "protonet",
    estimator: EstimatorName | None = None,
    ways: int = 5,
    steps: int = 5,
    norm: Norm = "layer",
    seed: int = 0,
) -> list[Method]:
    """The trained learner, the fine-tuned classifier and the floor; what a folder holds already is only loaded.

    Args:
      corpus: training words, with the columns `pool`, `corpus` and `label`, as `load_words` gives them.
      folder: for a folder of the learner and one of the classifier, which learners share.
      preset: numbers of updates, batches, rate and width.
      noise: features of background noise [M, L, F], for augmentation.
      fingerprints: of the corpora, which a run is resumed with only.
      learner: its name.
      estimator: how the meta-gradient passes through the inner steps; None: exactly, where the learner allows it.
      ways: classes of an episode, in tests and, for learners with a head, in training.
      steps: inner steps of learners that have them.
      norm: normalisation of the network.
      seed: of everything random.
    Raises:
      ValueError: too few words or recordings for the batches, or the folder holds another run.
    """
    training_ways = min(preset.ways, most_ways(corpus)) if preset.ways else ways
    words = WordBatches(corpus, BASELINE_CLIPS, seed)
    run = {
        "learner": learner, "estimator": estimator, "ways": ways, "steps": steps, "norm": norm, "seed": seed,
        "recipe": preset._asdict(), "training_ways": training_ways, "words": len(words.names),
        "data": dict(fingerprints),
    }  # fmt: skip
    return _methods(run, folder, noise, task_sampler(corpus, training_ways, preset.batches, seed), words)


def trained_words(folder: Path, learner: str) -> tuple[dict[str, Any], list[Method]]:
    """What `train_words` left in a folder: the run's settings (its run.json), and its methods.

    Raises:
      ValueError: there is no run of this learner, or it has not come to its end.
    """
    run, unfinished = _run(folder, learner)
    return run, _methods(run, folder, np.zeros((1, 1, FEATURES.n_mels)), unfinished, unfinished)


def trained_encoder(folder: Path) -> tuple[Model, PyTree]:
    """The prototypical network of the run in a folder, as `train_words` left it there.

    Raises:
      ValueError: as `trained_words`; or the network's normalisation depends on the batch.
    """
    run, unfinished = _run(folder, "protonet")
    preset, noise = WordsPreset(**run["recipe"]), np.zeros((1, 1, FEATURES.n_mels))
    network = _network(preset, run["norm"])
    training = {"augment": augment_episode(word_augmentation(noise)), "features": noise.shape[-1], "seed": run["seed"]}
    encoder = _meta_trained(run, preset, network, folder / "protonet", unfinished, training).encoder
    if encoder is None:
        raise ValueError(f"the network in {folder} has norm={run['norm']!r}, and embeds no recording by itself.")
    return encoder


def _run(folder: Path, learner: str) -> tuple[dict[str, Any], Sampler]:
    """The settings of a run, and a sampler that refuses to go on with it."""
    path = folder / learner / "run.json"
    if not path.exists():
        raise ValueError(f"{folder} holds no run of {learner} ({path} is missing); train one there first.")

    def unfinished(index: int) -> Episode:
        raise ValueError(f"the run of {path} stopped at update {index}; finish it with the command that began it.")

    return read_sealed(path, "run", "train again in another folder"), unfinished


def _network(preset: WordsPreset, norm: Norm) -> Network:
    return partial({"residual": residual, "conv4": conv4}[preset.network], width=preset.width, norm=norm)


def _methods(run: Mapping[str, Any], folder: Path, noise: np.ndarray, tasks: Sampler, words: Sampler) -> list[Method]:
    preset = WordsPreset(**run["recipe"])
    network = _network(preset, run["norm"])
    augment = augment_episode(word_augmentation(noise))
    training = {"augment": augment, "features": noise.shape[-1], "seed": run["seed"]}
    # Learners may ask for classifiers that were trained for longer.
    baseline_folder, updates = folder / f"baseline_{preset.baseline_updates}", preset.baseline_updates
    decides = {"updates": updates, "network": preset.network, "width": preset.width}  # whatever the learner
    decides |= {name: run[name] for name in ("norm", "seed", "words", "data")}
    with stage("training the classifier"):
        classifier = supervised(network(run["words"]), cross_entropy)
        baseline = fit(classifier, words, updates, BASELINE_RATE, baseline_folder, **training, config=decides)
    start = warm(network, baseline.params) if preset.start == "classifier" else network
    with stage(f"training {run['learner']}"):
        method = _meta_trained(run, preset, start, folder / run["learner"], tasks, training)
    seconds = _seconds(baseline_folder, updates)
    tuned = fine_tuned(network, baseline.params, baseline.state, run["ways"], baseline_folder, seconds)
    return [method, tuned, floor(folder)]


def _meta_trained(
    run: Mapping[str, Any],
    preset: WordsPreset,
    network: Network,
    folder: Path,
    tasks: Sampler,
    training: dict[str, Any],
) -> Method:
    name: LearnerName = run["learner"]
    estimators = {"unrolled": unrolled(), "first_order": first_order(), "mixed_mode": mixed_mode(), None: None}
    build = learners(network, estimators[run["estimator"]])[name]
    learner = build(run["training_ways"], run["steps"])
    trained = fit(learner, tasks, preset.updates, preset.rate, folder, **training, config=run)
    seconds = _seconds(folder, preset.updates)
    if name in METRIC:
        return closed_form(name, network, trained.params, trained.state, folder, seconds, run["norm"])
    return Method(name, build, trained.params, trained.state, run["steps"], folder, seconds)


def _seconds(folder: Path, updates: int) -> float:
    """Of the training of so many updates that a folder logs."""
    return read_metrics(folder)[-1]["seconds"] if updates else 0.0


def closed_form(
    name: LearnerName, network: Network, params: PyTree, state: PyTree, folder: Path, seconds: float, norm: Norm
) -> Method:
    """A trained learner that solves a task in closed form: its encoder never adapts.

    Args:
      name: one of `METRIC`.
      network: (outputs or None) -> the model.
      params, state: of the learner.
      folder: where its rows are kept.
      seconds: of its training.
      norm: normalisation of the network.
    """
    build = learners(network, None)[name]
    if norm != "layer":  # What an encoder makes of a recording then depends on the others in its batch.
        return Method(name, build, params, state, 0, folder, seconds)
    encoder = (network(), params.get("encoder", params))
    return Method(name, learners(encoded, None)[name], params, state, 0, folder, seconds, encoder)
