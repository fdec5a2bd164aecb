"""Words of a new language as prototypes: a word is the mean of the frames that a few utterances align with it.

Prototypical networks (Snell et al. 2017, arXiv 1703.05175) for sequences: nobody says where in an utterance a word is.
"""

from typing import Any

import jax
from jax import lax
from jax import numpy as jnp

from jaxmeta.losses import weighted_mean
from jaxmeta.models.acoustic import Size
from jaxmeta.models.pretrained.head_parts import frames_to_logits, narrowing, stacked
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.recognition.methods import AdaptationMethod
from jaxmeta.sequence_losses import ctc
from jaxmeta.types import Array, Batch, Episode, Key, MetaLearner, Model, PyTree, Ragged

PROTOTYPES = "prototypes"
"""Name of the method."""
SCALE = 10.0
"""Of the mean squared distance of embeddings, in logits."""
UNKNOWN = -1e4
"""Logit of a word that no support utterance has."""


def word_prototypes(encoder: Model, words: int, rounds: int | Array) -> MetaLearner:
    """Recognises sequences of words by the distance of each frame's embedding to each word's mean; no inner loop.

    Utterances are aligned with their words by CTC: at first by the blank alone, which all words share, and then anew
    with the means of the alignment before. No gradient passes through an alignment.
    Args:
      encoder: Ragged inputs -> Ragged [N, T, F + 1], embeddings and, last, the logit of the blank.
      words: W; labels lie in [1, W]. fast is their means [W, F], and which of them the support set has, [W].
      rounds: of alignment with means, 0 or more; it may be traced.
    """

    def means_of(params: PyTree, state: PyTree, support: Batch, key: Key, train: bool) -> PyTree:
        frames, _ = encoder.apply(params, state, support.inputs, key, train)
        still, labels = lax.stop_gradient(frames), support.targets
        spoken = _spoken(labels, words) * support.weight[:, None, None]

        def aligned(_: Any, posterior: Array) -> Array:
            means = {"means": _means(still, posterior), "known": spoken.any((0, 1))}
            return _posterior(_logits(still, means), labels) * support.weight[:, None, None]

        posterior = lax.fori_loop(0, rounds, aligned, _first_alignment(still, spoken))
        return {"means": _means(frames, posterior), "known": spoken.any((0, 1))}

    def adapt(params, state, support, key):
        return means_of(params, state, support, key, False), {}

    def predict(params, state, fast, inputs, key, train):
        frames, state = encoder.apply(params, state, inputs, key, train)
        return _logits(frames, fast), state

    def meta_loss(params: PyTree, state: PyTree, episode: Episode, key: Key):
        support, query = episode
        fast = means_of(params, state, support, key, True)
        outputs, state = predict(params, state, fast, query.inputs, key, True)
        # What has a word that was not taught counts nothing.
        taught = jnp.concatenate([jnp.ones(1, bool), fast["known"]])[query.targets.values].all(1)
        return weighted_mean(LOSS(outputs, query.targets), query.weight * taught), state

    return MetaLearner(encoder.init, adapt, predict, meta_loss)


def prototype_method(width: int, words: int, size: int = 64) -> AdaptationMethod:
    """Prototypes of words by a recurrent network on a frozen encoder, meta-trained from random weights.

    Args:
      width: numbers in a frame of the encoder.
      words: most words of a language.
      size: of an embedding.
    """

    def network(dropout: float) -> Model:
        return stacked(narrowing(96), frames_to_logits(size + 1, "gru", Size(96, 1), dropout))

    def start(params: PyTree, rate: float) -> PyTree:
        return network(0.0).init(jax.random.key(0), Ragged(jnp.zeros((1, 8, width)), jnp.full(1, 8)))[0]

    return AdaptationMethod(
        lambda rate, rounds: word_prototypes(network(0.0), words, rounds), start,
        lambda rate, steps: word_prototypes(network(0.1), words, 2), scale=None, steps=(1, 2, 4),
    )  # fmt: skip


def _spoken(labels: Ragged, words: int) -> Array:
    """[N, L, W] which word each label is."""
    real = jnp.arange(labels.values.shape[1]) < labels.lengths[:, None]
    return jax.nn.one_hot(labels.values - 1, words) * real[..., None]


def _first_alignment(frames: Ragged, spoken: Array) -> Array:
    """[N, T, W] where words are, as all have the same logit, 0."""
    count = spoken.shape[1]
    length = spoken.any(-1).sum(1)
    place = jnp.arange(1, count + 1)
    real = place <= length[:, None]
    blank = frames.values[..., -1:]
    logits = jnp.concatenate([blank, jnp.where(real[:, None], 0.0, UNKNOWN) * jnp.ones_like(blank)], axis=-1)
    posterior = _posterior(frames._replace(values=logits), Ragged(jnp.where(real, place, 0), length))
    return jnp.einsum("ntl,nlw->ntw", posterior, spoken)


def _posterior(logits: Ragged, labels: Ragged) -> Array:
    """[N, T, C - 1] probability of each label but the blank in each frame, given what was said: from CTC's gradient."""
    gradient = jax.grad(lambda values: jnp.sum(ctc(logits._replace(values=values), labels)))(logits.values)
    real = jnp.arange(logits.values.shape[1]) < logits.lengths[:, None]
    return jnp.where(real[..., None], jax.nn.softmax(logits.values) - gradient, 0)[..., 1:]


def _means(frames: Ragged, posterior: Array) -> Array:
    total = jnp.einsum("ntw,ntf->wf", posterior, frames.values[..., :-1])
    return total / (posterior.sum((0, 1))[:, None] + 1e-3)


def _logits(frames: Ragged, fast: PyTree) -> Ragged:
    embeddings, blank = frames.values[..., :-1], frames.values[..., -1:]
    distance = jnp.square(embeddings[..., None, :] - fast["means"]).mean(-1)
    return frames._replace(
        values=jnp.concatenate([blank, jnp.where(fast["known"], -SCALE * distance, UNKNOWN)], axis=-1)
    )
