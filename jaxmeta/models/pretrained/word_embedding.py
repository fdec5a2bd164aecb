"""Google's speech embedding: what is said in each 0.8 s, as 96 numbers, of use for words that it was not trained on.

Lin et al. 2020, "Training keyword spotters with limited and synthesized speech data" (arXiv 2002.01322); weights as
openWakeWord distributes them (Apache-2.0).
"""

from pathlib import Path

import jax
import numpy as np
from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.layers import apply_mask
from jaxmeta.models.linen import from_linen
from jaxmeta.models.pretrained.folder import fill, open_file
from jaxmeta.types import Array, Model, PyTree, Ragged

WINDOW, STEP = 76, 8
"""Frames that an embedding sees, and from one embedding to the next."""
_CHANNELS = (24, 24, 24, 48, 48, 48, 48, 72, 72, 72, 72, 96, 96, 96, 96, 96, 96, 96, 96, 96)
_POOLS = {2: (2, 2), 6: (1, 2), 10: (2, 2), 14: (1, 2), 18: (2, 2)}
"""Largest values over time and frequency, after these convolutions."""


def word_embedding() -> Model:
    """Ragged log-mels [N, T, 32], as `word_mels` gives them, -> Ragged embeddings [N, (T - 76) // 8 + 1, 96].

    Raises:
      ValueError: at trace time, fewer than 76 frames or other than 32 bands.
    """
    return from_linen(_WordEmbedding())


def read_word_embedding(path: str | Path) -> PyTree:
    """The params, from a safetensors file of 20 convolutions: "00.kernel" [height, width, in, out] and "00.bias" on.

    Raises:
      ValueError: missing, extra or misshapen weights; a damaged file.
      OSError: no such file.
    """
    # Kernels are stored as linen has them, and not as PyTorch would.
    tensors = {
        name.replace(".kernel", ".weight"): (lambda read=read: read().T) if name.endswith(".kernel") else read
        for name, read in open_file(path).items()
    }
    return fill(embedding_shapes(), tensors, str(path))


def embedding_shapes() -> PyTree:
    """Shapes and types of the params."""
    inputs = Ragged(jnp.zeros((1, WINDOW, 32)), jnp.ones(1, jnp.int32))
    return jax.eval_shape(word_embedding().init, jax.random.key(0), inputs)[0]


class _WordEmbedding(nn.Module):
    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        shape = inputs.values.shape
        if len(shape) != 3 or shape[1] < WINDOW or shape[2] != 32:
            raise ValueError(f"log-mels need the shape [N, T, 32] with T of {WINDOW} or more, got {shape}; pad them.")
        values = apply_mask(*inputs)[..., None]
        for index, channels in enumerate(_CHANNELS):
            values = nn.Conv(channels, *_geometry(index), name=f"{index:02d}")(values)
            if index < len(_CHANNELS) - 1:
                values = jnp.maximum(nn.leaky_relu(values, 0.2), np.float32(-0.4))
            if index in _POOLS:
                values = nn.max_pool(values, _POOLS[index], _POOLS[index])
        lengths = jnp.maximum((inputs.lengths - WINDOW) // STEP + 1, 0)
        return Ragged(apply_mask(_flat(values), lengths), lengths)


def _geometry(index: int) -> tuple:
    """Kernel, strides and padding: of frequency alone and of time alone in turn, after one of both."""
    if index == 0:
        return (3, 3), 1, ((0, 0), (1, 1))
    if index % 2 and index < 19:
        return (1, 3), 1, ((0, 0), (1, 1))
    return (3, 1), 1, ((0, 0), (0, 0))


def _flat(values: Array) -> Array:
    return values.reshape(*values.shape[:2], -1)
