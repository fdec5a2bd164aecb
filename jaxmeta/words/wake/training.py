"""A wake word from a few recordings: a head is trained on takes of them, and a threshold chosen on other speech."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax import numpy as jnp

from jaxmeta.progress import stage
from jaxmeta.types import Array, PyTree
from jaxmeta.words.wake.alarms import Threshold, choose_threshold
from jaxmeta.words.wake.augmentation import Surroundings, embed_takes, takes
from jaxmeta.words.wake.head import Layer, logits
from jaxmeta.words.wake.stream import CONTEXT, FEATURES, EmbeddingStream, windows_of
from jaxmeta.words.wake.wakeword import WakeWord, WakeWordCard

_ROWS = 4_096


class HeadTraining(NamedTuple):
    """How a head is trained; chosen on speakers and words of validation."""

    takes: int = 400
    """Of the word, from all recordings together."""
    projected: int = 24
    """Numbers that each embedding is reduced to first, by the same linear map."""
    hidden: int = 64
    updates: int = 200
    """Of each of two stages; in the second, half of the negatives are those with the highest scores."""
    rate: float = 2e-3
    decay: float = 1e-2
    dropout: float = 0.2
    positives: int = 96
    """Of each batch."""
    negatives: int = 416
    hardest: int = 3_000


class Negatives(NamedTuple):
    """Embeddings of what is not the word, of whole streams [15 + K, 96] each, as `embed_streams` makes them."""

    training: Sequence[np.ndarray]
    held_out: Sequence[np.ndarray]
    """Speech by other speakers than in training, on which the threshold is chosen."""


def train_wakeword(
    word: str,
    recordings: Sequence[np.ndarray],
    embedding: PyTree,
    negatives: Negatives,
    surroundings: Surroundings,
    *,
    false_alarms: float = 0.5,
    training: HeadTraining = HeadTraining(),
    seed: int = 0,
    origin: Mapping[str, Any] | None = None,
) -> WakeWord:
    """A detector of a word, with the threshold that gives so many false alarms an hour on held-out speech.

    Args:
      word: its name.
      recordings: waveforms [S] at 16 kHz of the word alone, without silence at their ends.
      embedding: params of `word_embedding`.
      negatives: what is not the word.
      surroundings: what the recordings are mixed with.
      false_alarms: an hour, above 0.
      training: how the head is trained.
      seed: of everything random.
      origin: for the card.
    Raises:
      ValueError: no recordings, or no held-out speech.
    """
    if not recordings:
        raise ValueError("recordings is empty; a wake word needs one recording at least, better five.")
    with stage("augmenting the recordings"):
        waveforms = takes(recordings, training.takes, surroundings, np.random.default_rng(seed))
        positives = embed_takes(embedding, waveforms)
    with stage("training the head"):
        layers = train_head(positives, negatives.training, training, seed)
    with stage("choosing the threshold"):
        layers, threshold = at_threshold(layers, negatives.held_out, false_alarms)
    hidden = {f"{place:02d}": len(layer.bias) for place, layer in enumerate(layers[:-1])}
    card = WakeWordCard(word, len(recordings), threshold.alarms, threshold.hours, hidden, dict(origin or {}))
    return WakeWord(card, embedding, layers)


def train_head(positives: np.ndarray, streams: Sequence[np.ndarray], training: HeadTraining, seed: int) -> list[Layer]:
    """Layers of a head that tells windows of embeddings [P, 16, 96] from every window of the streams [K, 96]."""
    rng = np.random.default_rng([seed, 1])
    windows = [windows_of(each) for each in streams if len(each) >= CONTEXT]
    where = np.concatenate([[0], np.cumsum([len(each) for each in windows])])
    mean, scale = _statistics(streams)

    def gather(rows: np.ndarray) -> np.ndarray:
        owner = np.searchsorted(where, rows, side="right") - 1
        return np.stack([windows[who][row - where[who]] for who, row in zip(owner, rows, strict=True)])

    params = _initial(jax.random.key(seed), training)
    update, state = _update(training, mean, scale)
    optimizer_state, hardest, key = state(params), None, jax.random.key(seed + 1)
    for step in range(2 * training.updates):
        if step == training.updates:
            levels = np.concatenate([_scored(_folded(params, mean, scale), each) for each in windows])
            hardest = np.argsort(-levels)[: training.hardest]
        own = positives[rng.integers(len(positives), size=training.positives)]
        rows = rng.integers(where[-1], size=training.negatives)
        if hardest is not None:
            rows[::2] = rng.choice(hardest, len(rows[::2]))
        params, optimizer_state = update(params, optimizer_state, own, gather(rows), jax.random.fold_in(key, step))
    return _folded(params, mean, scale)


def at_threshold(
    layers: Sequence[Layer], held_out: Sequence[np.ndarray], false_alarms: float
) -> tuple[list[Layer], Threshold]:
    """Layers whose logit is 0 at the threshold that gives so many false alarms an hour on streams [K, 96]."""
    streams = [_scored(layers, windows_of(each)) for each in held_out if len(each) >= CONTEXT]
    if not streams:
        raise ValueError("held_out has no stream of 2 s; a threshold is chosen on speech without the word.")
    chosen = choose_threshold(streams, false_alarms)
    last = layers[-1]
    return [*layers[:-1], Layer(last.weight, (last.bias - chosen.value).astype(np.float32))], chosen


def embed_streams(
    embedding: PyTree, waveforms: Iterable[np.ndarray], advance: Callable[[int], Any]
) -> list[np.ndarray]:
    """Embeddings [15 + K, 96] of each waveform [S] at 16 kHz: of what a stream begins with, and of each step."""
    made = []
    for waveform in waveforms:
        stream = EmbeddingStream(embedding)
        made.append(np.concatenate([stream.context, stream.push(waveform)]))
        advance(1)
    return made


def _scored(layers: Sequence[Layer], windows: np.ndarray) -> np.ndarray:
    """Logits [K] of windows [K, 16, 96]."""
    parts = [logits(layers, windows[start : start + _ROWS]) for start in range(0, len(windows), _ROWS)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _statistics(streams: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    count = sum(map(len, streams))
    mean = sum(each.sum(axis=0, dtype=np.float64) for each in streams) / count
    square = sum(np.square(each - mean).sum(axis=0) for each in streams) / count
    return np.asarray(mean, np.float32), np.asarray(np.sqrt(square) + 1e-6, np.float32)


def _initial(key: Array, training: HeadTraining) -> PyTree:
    keys, width = jax.random.split(key, 3), CONTEXT * training.projected
    return {
        "project": jax.random.normal(keys[0], (FEATURES, training.projected)) / np.sqrt(FEATURES),
        "hidden": {
            "weight": jax.random.normal(keys[1], (width, training.hidden)) * np.sqrt(2 / width),
            "bias": jnp.zeros(training.hidden),
        },
        "last": {"weight": 0.1 * jax.random.normal(keys[2], (training.hidden, 1)), "bias": jnp.full(1, -2.0)},
    }


def _forward(params: PyTree, windows: Array, key: Array, dropout: float) -> Array:
    def drop(values: Array, place: int) -> Array:
        left = jax.random.bernoulli(jax.random.fold_in(key, place), 1 - dropout, values.shape)
        return jnp.where(left, values / (1 - dropout), 0)

    flat = drop((windows @ params["project"]).reshape(len(windows), -1), 0)
    hidden = drop(jax.nn.relu(flat @ params["hidden"]["weight"] + params["hidden"]["bias"]), 1)
    return (hidden @ params["last"]["weight"] + params["last"]["bias"])[:, 0]


def _update(training: HeadTraining, mean: np.ndarray, scale: np.ndarray) -> tuple[Callable, Callable]:
    """A step of AdamW on the mean loss of positives and that of negatives, and the optimizer's first state."""
    optimizer = optax.adamw(
        optax.cosine_decay_schedule(training.rate, 2 * training.updates), weight_decay=training.decay
    )

    @jax.jit
    def update(params: PyTree, state: PyTree, positives: Array, negatives: Array, key: Array) -> tuple[PyTree, PyTree]:
        def loss(params: PyTree) -> Array:
            both = (jnp.concatenate([positives, negatives]) - mean) / scale
            outputs = _forward(params, both, key, training.dropout)
            missed, alarmed = outputs[: len(positives)], outputs[len(positives) :]
            return jax.nn.softplus(-missed).mean() + jax.nn.softplus(alarmed).mean()

        changes, new = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, changes), new

    return update, optimizer.init


def _folded(params: PyTree, mean: np.ndarray, scale: np.ndarray) -> list[Layer]:
    """The network as dense layers on embeddings as they are: scaling and projection are part of the first."""
    project = np.asarray(params["project"], np.float64)
    hidden = np.asarray(params["hidden"]["weight"], np.float64).reshape(CONTEXT, project.shape[1], -1)
    weight = np.einsum("fp,cph->cfh", project / scale[:, None], hidden)
    bias = np.asarray(params["hidden"]["bias"]) - np.einsum("f,cfh->h", mean, weight)
    first = Layer(weight.reshape(CONTEXT * FEATURES, -1).astype(np.float32), bias.astype(np.float32))
    return [first, Layer(*(np.asarray(params["last"][name], np.float32) for name in ("weight", "bias")))]
