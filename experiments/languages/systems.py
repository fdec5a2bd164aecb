"""The two systems that are adapted to languages: one writes what is said, the other its English translation."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmeta import Batch, Episode, MetaLearner, Ragged, maml
from jaxmeta.decoding.attention import attention_beam, best
from jaxmeta.decoding.greedy import greedy
from jaxmeta.estimators import Estimator
from jaxmeta.models.acoustic import Encoder, Size, recogniser
from jaxmeta.models.seq2seq import joint_loss, seq2seq, teacher_forced
from jaxmeta.optimizers import adam
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.sequence_losses import ctc, per_label, sequence_cross_entropy
from jaxmeta.types import PyTree


class System(NamedTuple):
    """A network that writes labels for speech."""

    learner: Callable[[float, int, Estimator], MetaLearner]
    """(rate, steps, estimator) -> MAML on batches of log-mels and labels; with 0 steps it trains plainly."""
    write: Callable[[PyTree, Ragged], Ragged]
    """(weights, speech [N, T, F]) -> labels."""


def transcriber(classes: int, encoder: Encoder, size: Size, dropout: float) -> System:
    """CTC, read greedily.

    Args:
      classes: C, the blank included.
      encoder, size, dropout: as in `models.acoustic.recogniser`.
    """
    model = recogniser(classes, encoder, size, dropout=dropout)

    def write(weights: PyTree, speech: Ragged) -> Ragged:
        return greedy(model.apply(weights, {}, speech, jax.random.key(0), False)[0])

    return System(lambda rate, steps, estimator: maml(model, LOSS, adam(rate), steps, estimator), write)


def translator(
    classes: int, encoder: Encoder, size: Size, dropout: float, *, longest: int, beam: int, bonus: float = 0.0
) -> System:
    """An encoder-decoder trained with CTC beside it, read by beam search over the decoder.

    Args:
      classes: C, class 0 included.
      encoder, size, dropout: as in `models.seq2seq.seq2seq`.
      longest: most labels that are written.
      beam: hypotheses kept.
      bonus: nats for each label written.
    """
    network = seq2seq(classes, encoder, size, decoder_layers=1, dropout=dropout)
    loss = per_label(joint_loss(ctc, sequence_cross_entropy))

    def learner(rate: float, steps: int, estimator: Estimator) -> MetaLearner:
        return forced(maml(network.model, loss, adam(rate), steps, estimator))

    def write(weights: PyTree, speech: Ragged) -> Ragged:
        memory, logits = network.encode(weights, speech)
        repeated = jnp.repeat(memory, beam, axis=0)
        score = partial(network.score, weights, repeated, jnp.repeat(logits.lengths, beam))
        return best(attention_beam(score, len(memory), longest, beam, bonus))[0]

    return System(learner, write)


def forced(learner: MetaLearner) -> MetaLearner:
    """A learner of an encoder-decoder that takes batches of speech and labels: its decoder sees the true labels."""

    def init(key, inputs):
        labels = Ragged(jnp.zeros((len(inputs.lengths), 8), jnp.int32), jnp.ones_like(inputs.lengths))
        return learner.init(key, teacher_forced(Batch(inputs, labels, jnp.ones(len(inputs.lengths)))).inputs)

    def adapt(params, state, support, key):
        return learner.adapt(params, state, teacher_forced(support), key)

    def meta_loss(params, state, episode, key):
        return learner.meta_loss(
            params, state, Episode(teacher_forced(episode.support), teacher_forced(episode.query)), key
        )

    return learner._replace(init=init, adapt=adapt, meta_loss=meta_loss)
