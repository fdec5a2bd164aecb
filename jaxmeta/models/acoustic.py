"""Encoders for speech recognition: log-mels of any length in, CTC logits at a quarter of the frame rate out.

All are masked for Ragged batches, so that padding is inert, and hold no batch statistics, so that a handful of
utterances of one speaker can be adapted to. `tiny` to `large` of `SIZES` are 0.2 to 5 million weights.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
from flax import linen as nn
from flax.core import FrozenDict
from jax import numpy as jnp

from jaxmeta.models.attention import ConformerBlock
from jaxmeta.models.layers import Convolution, LayerNorm, apply_mask, frame_mask, where
from jaxmeta.models.linen import Wrap, from_linen, unwrapped
from jaxmeta.models.recurrent import Bidirectional
from jaxmeta.types import Array, Model, Ragged

Encoder = Literal["dnn", "gru", "lstm", "conformer"]
Widths = Mapping[str, int]
"""Name of a layer ("front/Convolution_0", "encoder/layer_0") -> what is left of it."""
SUBSAMPLING = 4


class Size(NamedTuple):
    """Width and depth of an encoder, whatever its kind."""

    width: int
    depth: int


SIZES: Mapping[str, Mapping[str, Size]] = {
    "dnn": {"tiny": Size(160, 3), "small": Size(384, 4), "base": Size(512, 5), "large": Size(768, 6)},
    "gru": {"tiny": Size(72, 2), "small": Size(136, 3), "base": Size(176, 4), "large": Size(272, 4)},
    "lstm": {"tiny": Size(64, 2), "small": Size(120, 3), "base": Size(152, 4), "large": Size(240, 4)},
    "conformer": {"tiny": Size(48, 3), "small": Size(96, 4), "base": Size(128, 6), "large": Size(168, 8)},
}


def recogniser(
    classes: int,
    encoder: Encoder = "conformer",
    size: str | Size = "small",
    *,
    dropout: float = 0.0,
    context: int = 0,
    widths: Widths | None = None,
    wrap: Wrap = unwrapped,
) -> Model:
    """A convolutional front end, an encoder and a linear layer named "head", for CTC.

    Args:
      classes: C, the blank included.
      encoder: "dnn" sees 11 frames of the front end at once, "gru" and "lstm" are recurrent in both directions,
        "conformer" attends and convolves.
      size: one of `SIZES`, or width and depth.
      dropout: share of values dropped in training, [0, 1).
      context: numbers of a vector that tells speakers apart, added to the encoder's input by a linear layer named
        "context"; inputs are then a pair (Ragged, [context]), as `cavia` gives them. 0: none.
      widths: channels and units that pruning left of some layers, as `compress.channels.shrink` gives them.
      wrap: what is done to the network before it becomes a Model, such as `compress.integer.aware`.
    Returns:
      Model of Ragged log-mels [N, T, F] to Ragged logits [N, ceil(T / 4), C].
    Raises:
      ValueError: an unknown encoder or size.
    """
    widths = widths or {}
    module = _Recogniser(classes, acoustic_encoder(encoder, size, dropout, widths), context, widths)
    return from_linen(wrap(module))


def body(encoder: Encoder = "gru", size: str | Size = "small") -> Model:
    """What `recogniser` has below its head: Ragged log-mels [N, T, F] to Ragged [N, ceil(T / 4), D].

    With a head of its own, such as `models.heads.with_ctc_head` gives it, it is trained as a recogniser. Then it can be
    frozen as a public encoder is. Arguments as in `recogniser`.
    """
    return from_linen(_Body(acoustic_encoder(encoder, size)))


def acoustic_encoder(
    encoder: Encoder, size: str | Size, dropout: float = 0.0, widths: Widths | None = None
) -> nn.Module:
    """A linen module (values [N, T, F], lengths [N], train) -> [N, T, D]. Raises ValueError where none is known."""
    if encoder not in SIZES:
        raise ValueError(f"encoder must be one of {', '.join(SIZES)}, got {encoder!r}.")
    if isinstance(size, str) and size not in SIZES[encoder]:
        raise ValueError(f"size must be one of {', '.join(SIZES[encoder])}, or a Size, got {size!r}.")
    chosen = SIZES[encoder][size] if isinstance(size, str) else size
    if encoder in ("gru", "lstm"):
        return _RecurrentEncoder(chosen, encoder, dropout, widths or {})
    return (_Frames if encoder == "dnn" else _Conformer)(chosen, dropout, widths or {})


def output_lengths(lengths: Any) -> Any:
    """Frames of the logits for frames of the input, numbers or arrays of them; no transcript may need more.

    >>> output_lengths(100), output_lengths(101)
    (25, 26)
    """
    return -(-lengths // SUBSAMPLING)


def count_weights(model: Model, inputs: Any) -> int:
    """Number of weights of a model for inputs of this form; computes none."""
    params, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(params))


class FrontEnd(nn.Module):
    """Centres and scales each utterance, halves time and frequency twice, and projects to the encoder's width.

    Source: Dong et al. 2018 (Speech-Transformer), section 3.2, with half a kernel of padding.
    """

    width: int
    channels: int = 32
    widths: Widths = FrozenDict()

    @nn.compact
    def __call__(self, inputs: Ragged) -> tuple[Array, Array]:
        """Log-mels [N, T, F] -> [N, ceil(T / 4), width] and the rows' lengths there."""
        values, lengths = standardise_rows(inputs)[..., None], inputs.lengths
        for name in ("Convolution_0", "Convolution_1"):
            # What a row's last frames see beyond it is zero, as it would be without padding.
            channels = self.widths.get(f"front/{name}", self.channels)
            values = nn.relu(Convolution(channels, strides=(2, 2), name=name)(values))
            lengths = (lengths + 1) // 2
            values = apply_mask(values, lengths)
        return nn.Dense(self.width)(values.reshape(*values.shape[:2], -1)), lengths


def standardise_rows(inputs: Ragged) -> Array:
    """Each band of each row of [N, T, F] less its mean over the row's frames, over its deviation; 0 beyond the row."""
    mask = frame_mask(inputs.lengths, inputs.values.shape[1])[..., None]
    values = where(mask, inputs.values)
    frames = jnp.maximum(inputs.lengths, 1)[:, None, None]
    centred = where(mask, values - values.sum(1, keepdims=True) / frames)
    variance = jnp.square(centred).sum(1, keepdims=True) / frames
    return centred / jnp.sqrt(variance + 1e-5)


class _Recogniser(nn.Module):
    classes: int
    encoder: nn.Module
    context: int
    widths: Widths

    @nn.compact
    def __call__(self, inputs: Any, train: bool) -> Ragged:
        speech, context = inputs if self.context else (inputs, None)
        hidden, lengths = FrontEnd(self.encoder.size.width, widths=self.widths, name="front")(speech)
        if context is not None:
            hidden += nn.Dense(hidden.shape[-1], use_bias=False, name="context")(context)
        return Ragged(nn.Dense(self.classes, name="head")(self.encoder(hidden, lengths, train)), lengths)


class _Body(nn.Module):
    encoder: nn.Module

    @nn.compact
    def __call__(self, inputs: Ragged, train: bool) -> Ragged:
        hidden, lengths = FrontEnd(self.encoder.size.width, name="front")(inputs)
        return Ragged(self.encoder(hidden, lengths, train), lengths)


class _Frames(nn.Module):
    """Linear layers on 11 neighbouring frames, the hybrid recogniser's old acoustic model."""

    size: Size
    dropout: float
    widths: Widths

    @nn.compact
    def __call__(self, values: Array, lengths: Array, train: bool) -> Array:
        values = apply_mask(nn.Dense(self.size.width // 4, name="narrow")(values), lengths)
        padded = jnp.pad(values, ((0, 0), (5, 5), (0, 0)))
        frames = values.shape[1]
        values = jnp.concatenate([padded[:, shift : shift + frames] for shift in range(11)], axis=-1)
        for index in range(self.size.depth):
            name = f"Dense_{index}"
            values = nn.Dense(self.widths.get(f"encoder/{name}", self.size.width), name=name)(values)
            values = nn.relu(LayerNorm(self.size.width)(values))
            values = nn.Dropout(self.dropout, deterministic=not train)(values)
        return values


class _RecurrentEncoder(nn.Module):
    size: Size
    cell: Any
    dropout: float
    widths: Widths

    @nn.compact
    def __call__(self, values: Array, lengths: Array, train: bool) -> Array:
        channels = values.shape[-1]
        for index in range(self.size.depth):
            name = f"layer_{index}"
            units = self.widths.get(f"encoder/{name}", self.size.width)
            values = Bidirectional(units, self.cell, name=name)(LayerNorm(channels)(values), lengths)
            values = nn.Dropout(self.dropout, deterministic=not train)(values)
            channels = 2 * self.size.width
        return LayerNorm(channels)(values)


class _Conformer(nn.Module):
    size: Size
    dropout: float
    widths: Widths

    @nn.compact
    def __call__(self, values: Array, lengths: Array, train: bool) -> Array:
        mask = frame_mask(lengths, values.shape[1])
        for index in range(self.size.depth):
            name = f"block_{index}"
            inner = self.widths.get(f"encoder/{name}/first"), self.widths.get(f"encoder/{name}/second")
            values = ConformerBlock(4, inner, dropout=self.dropout, name=name)(values, mask, train)
        return values
