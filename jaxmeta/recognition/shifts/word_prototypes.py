"""Words of a new language as prototypes: a word is the mean of the frames that a few utterances align with it.

Prototypical networks (Snell et al. 2017, arXiv 1703.05175) for sequences: nobody says where in an utterance a word is.
"""

from collections.abc import Callable

import jax
import optax
from jax import lax
from jax import numpy as jnp

from jaxmeta.losses import weighted_mean
from jaxmeta.models.acoustic import Size
from jaxmeta.models.pretrained.head_parts import frames_to_logits, narrowing, stacked
from jaxmeta.optimizers import adam
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.recognition.methods import AdaptationMethod
from jaxmeta.recognition.pretrained.meta_training import ADAM
from jaxmeta.sequence_losses import ctc
from jaxmeta.types import Array, Batch, Episode, Key, MetaLearner, Model, PyTree, Ragged

PROTOTYPES = "prototypes"
"""Name of the method."""
SCALE = 10.0
"""Of the mean squared distance of embeddings, in logits."""
UPDATES = 3
"""Of meta-training over those of other methods, whose updates cost more."""
UNKNOWN = -1e4
"""Logit of a word that no support utterance has."""


def word_prototypes(
    encoder: Model, words: int, rounds: int = 2, optimizer: optax.GradientTransformation | None = None,
    steps: int | Array = 0,
) -> MetaLearner:  # fmt: skip
    """Recognises sequences of words by the distance of each frame's embedding to each word's mean.

    Utterances are aligned with their words by CTC: at first by the blank alone, which all words share, and then anew
    with the means of the alignment before. No gradient passes through an alignment. The means, the scale of distances
    and the blank may then adapt by gradient steps on the support set: how long a word is differs between languages.
    Args:
      encoder: Ragged inputs -> Ragged [N, T, F + 1], embeddings and, last, the logit of the blank.
      words: W; labels lie in [1, W]. Of fast, "means" is [W, F], and "known" says which words the support set has.
      rounds: of alignment with means, 0 or more.
      optimizer, steps: of the gradient steps, which are no part of meta-training; steps may be traced.
    """

    def means_of(params: PyTree, state: PyTree, support: Batch, key: Key, train: bool) -> PyTree:
        frames, _ = encoder.apply(params, state, support.inputs, key, train)
        still, labels = lax.stop_gradient(frames), support.targets
        weight = support.weight[:, None, None]
        spoken = _spoken(labels, words) * weight
        known = spoken.any((0, 1))
        posterior = _first_alignment(still, spoken)
        for _ in range(rounds):
            posterior = _posterior(_logits(still, _start(still, posterior, known)), labels) * weight
        return _start(frames, posterior, known)

    def adapt(params, state, support, key):
        fast = means_of(params, state, support, key, False)
        if optimizer is None:
            return fast, {}
        frames, _ = encoder.apply(params, state, support.inputs, key, False)
        known = fast.pop("known")

        def loss(own: PyTree) -> Array:
            return weighted_mean(LOSS(_logits(frames, own | {"known": known}), support.targets), support.weight)

        return _descended(loss, fast, optimizer, steps) | {"known": known}, {}

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
        lambda rate, steps: word_prototypes(network(0.0), words, 2, adam(rate), steps), start,
        lambda rate, steps: word_prototypes(network(0.1), words), scale=ADAM, updates=UPDATES,
    )  # fmt: skip


def _descended(
    loss: Callable[[PyTree], Array], start: PyTree, optimizer: optax.GradientTransformation, steps: int | Array
) -> PyTree:
    def step(_, carry):
        own, slots = carry
        updates, slots = optimizer.update(jax.grad(loss)(own), slots, own)
        return optax.apply_updates(own, updates), slots

    return lax.fori_loop(0, steps, step, (start, optimizer.init(start)))[0]


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


def _start(frames: Ragged, posterior: Array, known: Array) -> PyTree:
    """What is known of words from an alignment, before any gradient step."""
    embeddings = frames.values[..., :-1]
    total = jnp.einsum("ntw,ntf->wf", posterior, embeddings)
    return {
        "means": total / (posterior.sum((0, 1))[:, None] + 1e-3), "known": known, "scale": jnp.log(SCALE),
        "blank": jnp.zeros(embeddings.shape[-1]), "bias": jnp.zeros(()),
    }  # fmt: skip


def _logits(frames: Ragged, fast: PyTree) -> Ragged:
    embeddings = frames.values[..., :-1]
    blank = frames.values[..., -1:] + (embeddings @ fast["blank"] + fast["bias"])[..., None]
    distance = jnp.square(embeddings[..., None, :] - fast["means"]).mean(-1)
    words = jnp.where(fast["known"], -jnp.exp(fast["scale"]) * distance, UNKNOWN)
    return frames._replace(values=jnp.concatenate([blank, words], axis=-1))
