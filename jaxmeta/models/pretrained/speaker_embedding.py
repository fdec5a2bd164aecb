"""Resemblyzer's embedding of a speaker: an LSTM trained by the generalised end-to-end loss.

Wan et al. 2018, "Generalized end-to-end loss for speaker verification" (arXiv 1710.10467); weights of
github.com/resemble-ai/Resemblyzer (Apache-2.0).
"""

from pathlib import Path

import jax
from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.layers import apply_mask, frame_mask
from jaxmeta.models.linen import from_linen
from jaxmeta.models.pretrained.folder import fill, open_file
from jaxmeta.models.pretrained.lstm import PytorchLSTM
from jaxmeta.types import Array, Model, PyTree, Ragged

STRETCH, _STEP = 160, 77
"""Frames of a stretch, and from one stretch to the next: 1.3 a second."""
_WARM = 40
"""Frames of a stretch after which its hidden states count."""
_LEAST = 120
"""Frames that the last stretch needs to count, if it is not the only one."""


def speaker_embedding() -> Model:
    """Ragged mel power [N, T, 40], as `speaker_mels` gives it, -> embeddings [N, 256] of length 1.

    Stretches of 1.6 s are embedded on their own, and their embeddings averaged.
    """
    return from_linen(_SpeakerEmbedding())


def speaker_states() -> Model:
    """Ragged mel power [N, S * 160, 40] of S stretches -> means of the hidden states of the LSTM [N, S, 768].

    Of every layer, over the frames of a stretch but the first 40, in which states still depend on the start. They tell
    new speakers by single words better than the embedding, which was trained on stretches of speech of 1.6 s; see
    `experiments/voices`. Params are those of `speaker_embedding`.
    """
    return from_linen(_SpeakerStates())


def read_speaker_embedding(path: str | Path) -> PyTree:
    """The params, from a safetensors file with the names of Resemblyzer's checkpoint.

    Raises:
      ValueError: missing, extra or misshapen weights; a damaged file.
      OSError: no such file.
    """
    inputs = Ragged(jnp.zeros((1, STRETCH, 40)), jnp.ones(1, jnp.int32))
    shapes = jax.eval_shape(speaker_embedding().init, jax.random.key(0), inputs)[0]
    tensors = {name: read for name, read in open_file(path).items() if not name.startswith("similarity_")}
    return fill(shapes, tensors, str(path))


class _SpeakerEmbedding(nn.Module):
    @nn.compact
    def __call__(self, inputs: Ragged) -> Array:
        values, lengths = apply_mask(*inputs), inputs.lengths
        rows, frames = values.shape[:2]
        most = max(1, -(-(frames - STRETCH + _STEP + 1) // _STEP))
        padded = jnp.pad(values, ((0, 0), (0, (most - 1) * _STEP + STRETCH), (0, 0)))
        starts = jnp.arange(most)[:, None] * _STEP + jnp.arange(STRETCH)
        stretches = padded[:, starts].reshape(rows * most, STRETCH, -1)
        hidden = PytorchLSTM(256, 3, name="lstm")(stretches)[:, -1]
        each = _unit(nn.relu(nn.Dense(256, name="linear")(hidden))).reshape(rows, most, -1)
        real = frame_mask(_count(lengths), most)[..., None]
        return _unit(jnp.where(real, each, 0).sum(1))


class _SpeakerStates(nn.Module):
    @nn.compact
    def __call__(self, inputs: Ragged) -> Array:
        rows, frames, bands = inputs.values.shape
        stretches = inputs.values.reshape(rows * frames // STRETCH, STRETCH, bands)
        states = PytorchLSTM(256, 3, every=True, name="lstm")(stretches)
        return states[:, _WARM:].mean(1).reshape(rows, frames // STRETCH, -1)


def _count(lengths: Array) -> Array:
    """Stretches of each row, one at least."""
    count = jnp.maximum(1, -(-(lengths - STRETCH + _STEP + 1) // _STEP))
    covered = lengths - 1 - (count - 1) * _STEP
    return jnp.where((covered < _LEAST) & (count > 1), count - 1, count)


def _unit(values: Array) -> Array:
    return values / jnp.sqrt(jnp.maximum(jnp.square(values).sum(-1, keepdims=True), 1e-20))
