"""What else makes a wake word of five recordings: local-wake's comparison, and openWakeWord's way to train a head."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax
from jax import numpy as jnp

from jaxmeta.data.pretrained.embedding_features import word_mels
from jaxmeta.types import Array, PyTree
from jaxmeta.words.wake.stream import CONTEXT, FEATURES, embed_mels, windows_of

LEAST_REFERENCE = 12_400
"""Samples that local-wake pads a recording to."""


def reference(embedding: PyTree, word: np.ndarray) -> np.ndarray:
    """Embeddings [T, 96] of a recording [S] to compare with, between stretches of silence if it is short."""
    missing = max(0, LEAST_REFERENCE - len(word))
    return embed_mels(embedding, word_mels(np.pad(word, (missing // 2, missing - missing // 2))))


def warped_similarity(references: Sequence[np.ndarray], windows: np.ndarray, *, whole: bool = True) -> np.ndarray:
    """Minus the least distance of each window [K, 16, 96] to a reference [T, 96], by dynamic time warping [K].

    The distance is the sum of cosine distances on the best path from end to end, over the sum of both lengths.
    Args:
      references: recordings of the word.
      windows: of a stream.
      whole: compare whole windows, as local-wake does; else as much of their ends as a reference is long.
    Source: github.com/st-matskevich/local-wake, version 0.1.2, with embeddings of the same network.
    """
    unit = windows / np.linalg.norm(windows, axis=-1, keepdims=True)
    distances = []
    for each in references:
        costs = 1 - unit[:, 0 if whole else -len(each) :] @ (each / np.linalg.norm(each, axis=-1, keepdims=True)).T
        costs = np.ascontiguousarray(np.moveaxis(costs, 0, -1))
        total = np.full((costs.shape[0] + 1, costs.shape[1] + 1, len(windows)), np.inf, np.float32)
        total[0, 0] = 0
        for row in range(costs.shape[0]):
            for column in range(costs.shape[1]):
                before = np.minimum(np.minimum(total[row, column], total[row, column + 1]), total[row + 1, column])
                total[row + 1, column + 1] = costs[row, column] + before
        distances.append(total[-1, -1] / sum(costs.shape[:2]))
    return -np.min(distances, axis=0)


class OpenWakeWordHead:
    """A head as openWakeWord trains it: two layers of 32 with layer normalisation, over flattened embeddings."""

    def __init__(
        self, positives: np.ndarray, streams: Sequence[np.ndarray], *, updates: int = 1_000, rate: float = 1e-3,
        negatives: int = 384, most_weight: float = 1_500.0, seed: int = 0,
    ):  # fmt: skip
        """Trains it.

        Args:
          positives: windows of embeddings of the word [P, 16, 96]; 50 are in each batch.
          streams: embeddings [K, 96] of what is not the word.
          updates: with a rate that warms up, is held and falls as a cosine.
          rate: the highest one.
          negatives: in each batch.
          most_weight: of negatives, at the end; it grows from 1. Those with a score below 0.001 do not count, nor
            positives above 0.999.
          seed: of everything random.
        Source: openwakeword.train of version 0.6.0, first sequence. Differs: 50,000 updates at a rate of 1e-4 there.
        """
        rng = np.random.default_rng([seed, 2])
        windows = [windows_of(each) for each in streams if len(each) >= CONTEXT]
        sizes = np.array([len(each) for each in windows])
        optimizer = optax.adam(_schedule(updates, rate))
        self._params = _initial(jax.random.key(seed))
        state = optimizer.init(self._params)

        @jax.jit
        def update(params: PyTree, state: PyTree, own: Array, others: Array, weight: Array) -> tuple[PyTree, PyTree]:
            def loss(params: PyTree) -> Array:
                outputs = _forward(params, jnp.concatenate([own, others]))
                truth = jnp.arange(len(outputs)) < len(own)
                scores = jax.nn.sigmoid(outputs)
                counts = jax.lax.stop_gradient(jnp.where(truth, scores < 0.999, scores >= 0.001))
                losses = jax.nn.softplus(jnp.where(truth, -outputs, outputs)) * jnp.where(truth, 1, weight)
                return jnp.sum(losses * counts) / jnp.maximum(jnp.sum(counts), 1)

            changes, new = optimizer.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, changes), new

        for weight in np.linspace(1, most_weight, updates):
            who = rng.choice(len(windows), size=negatives, p=sizes / sizes.sum())
            others = np.stack([windows[each][rng.integers(sizes[each])] for each in who])
            own = positives[rng.integers(len(positives), size=50)]
            self._params, state = update(self._params, state, own, others, jnp.float32(weight))

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Logits [K] of windows [K, 16, 96]."""
        hidden = np.asarray(windows, np.float32).reshape(len(windows), -1)
        params = jax.tree.map(np.asarray, self._params)
        return np.asarray(_dense(params, hidden))


def _schedule(updates: int, rate: float) -> optax.Schedule:
    rise, hold = updates // 5, updates // 3
    parts = [optax.linear_schedule(0, rate, rise), optax.constant_schedule(rate)]
    falling = optax.cosine_decay_schedule(rate, updates - rise - hold)
    return optax.join_schedules([*parts, falling], [rise, rise + hold])


def _initial(key: Array, width: int = 32) -> PyTree:
    keys, sizes = jax.random.split(key, 3), (CONTEXT * FEATURES, width, width, 1)
    return [
        {
            "weight": jax.random.uniform(each, (rows, units), minval=-1, maxval=1) / np.sqrt(rows),
            "bias": jnp.zeros(units),
            "scale": jnp.ones(units),
            "shift": jnp.zeros(units),
        }
        for each, rows, units in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def _forward(params: PyTree, windows: Array) -> Array:
    return _dense(params, windows.reshape(len(windows), -1))


def _dense(params: PyTree, hidden: Any) -> Any:
    for layer in params[:-1]:
        hidden = hidden @ layer["weight"] + layer["bias"]
        hidden = hidden - hidden.mean(axis=-1, keepdims=True)
        hidden = hidden / ((hidden**2).mean(axis=-1, keepdims=True) + 1e-5) ** 0.5 * layer["scale"] + layer["shift"]
        hidden = hidden * (hidden > 0)
    return (hidden @ params[-1]["weight"] + params[-1]["bias"])[:, 0]
