"""Training of recognisers: plainly on every speaker at once, and meta-training from there."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import optax

from experiments.adapt_asr.data import SpeechData
from experiments.adapt_asr.recipes import PLAIN, WIDE, Recipe
from jaxmeta import MetaLearner, Model
from jaxmeta.data.augmentation.rows import Transform
from jaxmeta.data.augmentation.spectral import equalise, time_warp
from jaxmeta.data.augmentation.transforms import augment_episode, chain, frequency_warp, spec_augment
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
from jaxmeta.data.sampling.utterances import UtteranceSampler, batch_sampler, utterance_sampler
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rates import character_edits, error_rate
from jaxmeta.decoding.greedy import greedy
from jaxmeta.learners.averaging import uniform
from jaxmeta.models.acoustic import Size, recogniser
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.recognition.meta_training import MetaTraining
from jaxmeta.training import TrainState
from jaxmeta.training.fit import fit, supervised
from jaxmeta.training.loop import Validation
from jaxmeta.types import PyTree, Ragged


def augmentation(*more: Transform) -> Transform:
    """What an utterance of log-mels goes through in training: other paces, voices and microphones, and masks."""
    return chain(
        time_warp(ends=0.0, bend=0.05),
        frequency_warp(0.9, 1.12, shift=1.0),
        equalise(0.6),
        *more,
        spec_augment(time_masks=2, time_width=25, frequency_masks=2, frequency_width=6, time_fraction=0.08),
    )


def train_stages(recipe: Recipe, data: SpeechData, seed: int, workdir: Path) -> PyTree:
    """Weights of a recogniser trained on all speakers at once: after wider speech, if there is any, and at the end."""
    weights = None
    for name, corpus in (("wide", data.wide), ("plain", data.train)):
        if corpus is not None:
            weights = train_stage(name, recipe, data, seed, workdir, params=weights)
    return weights


def train_stage(
    name: str,
    recipe: Recipe,
    data: SpeechData,
    seed: int,
    workdir: Path,
    *,
    params: PyTree | None = None,
    update_transform: optax.GradientTransformation | None = None,
    network: Mapping[str, Any] = MappingProxyType({}),
    config: Mapping[str, Any] = MappingProxyType({}),
) -> PyTree:
    """Train a recogniser on all utterances of all speakers, or load what was trained before.

    The error on validation speakers is logged ten times.
    Args:
      name: of the folder in `workdir`; "wide" trains on the wider speech, everything else on that of the corpus.
      recipe, data, seed: as for the experiment.
      params: where training starts; None: at random weights.
      update_transform: as in `training.fit.fit`.
      network: more arguments of `recogniser`.
      config: what decides the result, besides the recipe, the data and the seed.
    """
    plainly = (data.train, recipe.updates, PLAIN)
    corpus, updates, names = (data.wide, recipe.wide_updates, WIDE) if name == "wide" else plainly
    assert corpus is not None
    size = Size(recipe.width, recipe.depth)
    model = recogniser(data.vocabulary.size, recipe.encoder, size, dropout=recipe.dropout, **network)
    sampler = batch_sampler(
        corpus, data.vocabulary, seed=seed, frames_per_batch=recipe.frames, max_frames=recipe.longest
    )  # fmt: skip
    return fit(
        supervised(model, LOSS), sampler, updates, recipe.rate, workdir / name,
        augment=augment_episode(augmentation(), on="query"), features=corpus.frames.shape[1], seed=seed,
        config=decides(recipe, data, seed, names) | dict(config), params=params, update_transform=update_transform,
        validation=Validation(validation_error(model, data.val, data.vocabulary), max(1, updates // 10)),
    ).params  # fmt: skip


def speaker_tasks(data: SpeechData, meta: MetaTraining, seed: int) -> UtteranceSampler:
    """Batches of tasks for meta-training, each a training speaker."""
    return utterance_sampler(
        data.train, data.vocabulary, support=meta.support, query=meta.query, tasks=meta.tasks, seed=seed,
        max_frames=meta.longest, buckets=1,
    )  # fmt: skip


def decides(recipe: Recipe, data: SpeechData, seed: int, names: tuple[str, ...]) -> dict:
    """What weights depend on."""
    return {name: getattr(recipe, name) for name in names} | {"seed": seed, "data": data.fingerprints}


def validation_error(model: Model, corpus: Corpus, vocabulary: Vocabulary) -> Callable[[TrainState], float]:
    """A score for `train_loop`: minus the character error rate in percent over a corpus, by greedy search."""
    speech = gather(corpus, np.arange(len(corpus)), int(round_up(corpus.length.max())))
    said = corpus.columns["transcription"].tolist()

    @jax.jit
    def recognise(params: PyTree, inputs: Ragged) -> Ragged:
        return greedy(model.apply(params, {}, inputs, jax.random.key(0), False)[0])

    def score(train: TrainState) -> float:
        heard = []
        for start in range(0, len(said), 20):
            index = np.minimum(np.arange(start, start + 20), len(said) - 1)  # filled up, so that one program does
            heard += vocabulary.decode_rows(recognise(train.params, Ragged(*(leaf[index] for leaf in speech))))
        return -error_rate(character_edits(said, heard[: len(said)]))

    return score


def average_of_speakers(
    learner: MetaLearner, params: PyTree, corpus: Corpus, vocabulary: Vocabulary, seed: int, count: int = 32
) -> PyTree:
    """The uniform average of the weights that adapt to ten utterances of each of some training speakers."""
    episodes = adaptation_episodes(corpus, vocabulary, supports=(10,), query=1, seed=seed)
    chosen = np.random.default_rng(seed).permutation(len(episodes.groups))[:count]
    adapt = jax.jit(lambda batch: learner.adapt(params, {}, batch, jax.random.key(0))[0])
    supports = (jax.tree.map(lambda leaf: leaf[0], episodes(10, [index]).support) for index in chosen)
    return uniform([adapt(support) for support in supports])
