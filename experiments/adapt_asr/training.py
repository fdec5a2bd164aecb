"""Training of recognisers: plainly on every speaker at once, and meta-training from there."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.training import plain, train
from jaxmeta import MetaLearner, Model
from jaxmeta.data.adaptation import adaptation_episodes
from jaxmeta.data.augment import augment_episode, chain, frequency_warp, spec_augment
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.padding import gather, round_up
from jaxmeta.data.rowwise import Transform
from jaxmeta.data.spectral import equalise, time_warp
from jaxmeta.data.utterances import batch_sampler
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rates import character_edits, error_rate
from jaxmeta.decoding.greedy import greedy
from jaxmeta.learners.averaging import uniform
from jaxmeta.models.acoustic import Encoder, Size, recogniser
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.training import TrainState
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


def train_plainly(
    corpus: Corpus,
    held_out: Corpus,
    vocabulary: Vocabulary,
    network: tuple[Encoder, Size],
    *,
    updates: int,
    rate: float,
    frames: int,
    dropout: float,
    seed: int,
    directory: Path,
    config: Mapping[str, Any],
    augment: Transform,
    longest: int,
    params: PyTree | None = None,
) -> TrainState:
    """Train a recogniser on all utterances of all speakers, or load what was trained before.

    Args:
      corpus: of training.
      held_out: of validation speakers, whose error is logged ten times.
      vocabulary: of its transcripts.
      network: encoder and size.
      updates, rate, seed, directory, config: as in `training.train`.
      frames: of a batch, with padding.
      dropout: of the encoder.
      augment: what an utterance goes through.
      longest: utterances of more frames are left out.
      params: where training starts; None: at random weights.
    """
    model = recogniser(vocabulary.size, *network, dropout=dropout)
    sampler = batch_sampler(corpus, vocabulary, seed=seed, frames_per_batch=frames, max_frames=longest)
    return train(
        plain(model, LOSS), sampler, updates, rate, directory,
        augment=augment_episode(augment, on="query"), features=corpus.frames.shape[1], seed=seed, config=config,
        params=params,
        validation=Validation(validation_error(model, held_out, vocabulary), max(1, updates // 10)),
    )  # fmt: skip


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
