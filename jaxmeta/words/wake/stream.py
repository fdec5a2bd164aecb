"""Sound as it comes in, as an embedding every 80 ms, in the steps in which openWakeWord takes it.

Pieces of any length give the same embeddings as the whole: what is computed at a step depends on the last 2 s alone.
"""

import jax
import numpy as np
from jax import numpy as jnp

from jaxmeta.data.pretrained.embedding_features import STEP_SAMPLES, step_mels
from jaxmeta.models.pretrained.word_embedding import STEP, WINDOW, word_embedding
from jaxmeta.types import Array, PyTree, Ragged

RATE = 16_000
CONTEXT, FEATURES = 16, 96
"""Embeddings that a head sees, and numbers in each: the form that openWakeWord gives a head."""
STEP_SECONDS = STEP_SAMPLES / RATE
WINDOW_SECONDS = (512 + (WINDOW - 1 + (CONTEXT - 1) * STEP) * 160) / RATE
"""Sound that a head sees: 2 s."""
_OVERLAP = 480
"""Samples of the step before that the first frame of a step begins in."""
_BLOCKS = (1, 16, 128)
"""Embeddings that a program computes at once; a program is compiled for each of these."""


class EmbeddingStream:
    """Gives an embedding for every 80 ms of sound that is pushed into it; begins as after 2 s of faint noise."""

    def __init__(self, params: PyTree):
        """Args:
        params: of `word_embedding`.
        """
        self._params = params
        frames = WINDOW - STEP + (CONTEXT - 1) * STEP
        noise = np.random.default_rng(0).normal(scale=1e-3, size=_OVERLAP + 160 * frames).astype(np.float32)
        # The last frames of the noise would need samples of the sound itself; they are made with it.
        self._samples = noise[-_OVERLAP:]
        self._mels = step_mels(noise[: _OVERLAP // 160 * 160 + 160 * frames], frames)
        self._embeddings = self._embed()

    @property
    def context(self) -> np.ndarray:
        """The last embeddings, which the next step is seen with [15, 96]."""
        return self._embeddings

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The next samples [S] at 16 kHz, in [-1, 1] -> the embeddings of the steps that they complete [K, 96]."""
        return self._pushed(samples)[CONTEXT - 1 :]

    def windows(self, samples: np.ndarray) -> np.ndarray:
        """As `push`, but what a head sees at each of these steps: the last 16 embeddings [K, 16, 96]."""
        recent = self._pushed(samples)
        return windows_of(recent) if len(recent) >= CONTEXT else np.zeros((0, CONTEXT, FEATURES), np.float32)

    def _pushed(self, samples: np.ndarray) -> np.ndarray:
        """The 15 embeddings before, and the new ones."""
        self._samples = np.concatenate([self._samples, np.asarray(samples, np.float32)])
        steps = (len(self._samples) - _OVERLAP) // STEP_SAMPLES
        if steps:
            used = steps * STEP_SAMPLES
            new = step_mels(self._samples[: used + _OVERLAP], steps * STEP)
            self._mels = np.concatenate([self._mels, new])
            self._samples = self._samples[used:]
        recent = np.concatenate([self._embeddings, self._embed()])
        self._embeddings = recent[-(CONTEXT - 1) :]
        return recent

    def _embed(self) -> np.ndarray:
        """Embeddings of all frames that are waiting; those that later ones need stay."""
        count = (len(self._mels) - WINDOW) // STEP + 1
        made = embed_mels(self._params, self._mels) if count > 0 else np.zeros((0, FEATURES), np.float32)
        self._mels = self._mels[count * STEP :]
        return made


def windows_of(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings [T, 96] -> every 16 in a row [T - 15, 16, 96], without a copy.

    >>> windows_of(np.zeros((20, 96))).shape
    (5, 16, 96)
    """
    return np.lib.stride_tricks.sliding_window_view(embeddings, CONTEXT, axis=0).transpose(0, 2, 1)


def embed_mels(params: PyTree, mels: np.ndarray) -> np.ndarray:
    """Log-mels [T, 32] -> embeddings [(T - 76) // 8 + 1, 96], in blocks of a few sizes, a program each."""
    count = (len(mels) - WINDOW) // STEP + 1
    block = next((each for each in _BLOCKS if each >= count), _BLOCKS[-1])
    size, parts = WINDOW + (block - 1) * STEP, []
    for start in range(0, count, block):
        frames = mels[start * STEP : start * STEP + size]
        parts.append(np.asarray(_block(params, np.pad(frames, ((0, size - len(frames)), (0, 0)))[None]))[0])
    return np.concatenate(parts)[:count]


def embed_clips(params: PyTree, mels: np.ndarray) -> np.ndarray:
    """Log-mels of clips of one length [N, T, 32] -> embeddings [N, (T - 76) // 8 + 1, 96]."""
    return np.asarray(_block(params, mels))


@jax.jit
def _block(params: PyTree, mels: Array) -> Array:
    inputs = Ragged(mels, jnp.full(mels.shape[0], mels.shape[1], jnp.int32))
    return word_embedding().apply(params, {}, inputs, jax.random.key(0), False)[0].values
