"""Silero's voice activity detector: how likely each 32 ms of a recording are speech.

Silero Team 2024, "Silero VAD" (github.com/snakers4/silero-vad, MIT), version 6 for 16 kHz.
"""

from pathlib import Path

import jax
from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.layers import apply_mask
from jaxmeta.models.linen import from_linen
from jaxmeta.models.pretrained.folder import fill, open_file
from jaxmeta.models.pretrained.lstm import PytorchLSTM
from jaxmeta.types import Array, Model, PyTree, Ragged

CHUNK = 512
"""Samples that share a probability."""
_BEFORE, _AFTER = 64, 64
"""Samples of the chunk before that are looked at again, and those that are reflected at the end of a chunk."""


def voice_activity() -> Model:
    """Ragged waveforms [N, S] at 16 kHz -> Ragged probabilities of speech [N, ceil(S / 512)]."""
    return from_linen(_VoiceActivity())


def read_voice_activity(path: str | Path) -> PyTree:
    """The params, from silero_vad_16k.safetensors of the package silero-vad.

    Raises:
      ValueError: missing, extra or misshapen weights; a damaged file.
      OSError: no such file.
    """
    shapes = jax.eval_shape(
        voice_activity().init, jax.random.key(0), Ragged(jnp.zeros((1, CHUNK)), jnp.ones(1, jnp.int32))
    )[0]
    return fill(shapes, open_file(path), str(path))


class _VoiceActivity(nn.Module):
    @nn.compact
    def __call__(self, waveforms: Ragged) -> Ragged:
        values, lengths = apply_mask(*waveforms), waveforms.lengths
        rows, chunks = len(values), -(-values.shape[1] // CHUNK)
        padded = jnp.pad(values, ((0, 0), (_BEFORE, chunks * CHUNK - values.shape[1])))
        starts = jnp.arange(chunks)[:, None] * CHUNK + jnp.arange(_BEFORE + CHUNK)
        pieces = jnp.pad(padded[:, starts], ((0, 0), (0, 0), (0, _AFTER)), mode="reflect")
        hidden = self._magnitudes(pieces.reshape(rows * chunks, -1, 1))
        for index, (features, stride) in enumerate(((128, 1), (64, 2), (64, 2), (128, 1)), start=1):
            hidden = nn.relu(nn.Conv(features, (3,), stride, padding=1, name=f"conv{index}")(hidden))
        hidden = PytorchLSTM(128, suffix=False, name="lstm_cell")(hidden.reshape(rows, chunks, -1))
        speech = nn.sigmoid(nn.Conv(1, (1,), name="final_conv")(nn.relu(hidden)))[..., 0]
        counts = -(-lengths // CHUNK)
        return Ragged(apply_mask(speech, counts), counts)

    def _magnitudes(self, pieces: Array) -> Array:
        both = nn.Conv(258, (256,), 128, "VALID", use_bias=False, name="stft_conv")(pieces)
        power = jnp.square(both[..., :129]) + jnp.square(both[..., 129:])
        # The root of 0 has no derivative.
        return jnp.where(power > 0, jnp.sqrt(jnp.where(power > 0, power, 1)), 0)
