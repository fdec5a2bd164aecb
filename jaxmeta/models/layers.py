"""Layers for Ragged batches: what lies beyond a row's length never reaches the output."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from jaxmeta.models.convolution import convolve
from jaxmeta.types import Array, Ragged


def frame_mask(lengths: Array, frames: int) -> Array:
    """[N, T] bool: True on the frames before each row's length."""
    return jnp.arange(frames) < lengths[:, None]


def apply_mask(values: Array, lengths: Array) -> Array:
    """Zero in [N, T, ...] whatever lies beyond each row's length, NaN included."""
    mask = frame_mask(lengths, values.shape[1])
    return where(mask.reshape(mask.shape + (1,) * (values.ndim - 2)), values)


def where(mask: Array, values: Array) -> Array:
    """Values where a mask that broadcasts to them is True, else 0, NaN replaced too.

    A zero of their own type: converters to other formats take the number 0 for another one.
    """
    return jnp.where(mask, values, jnp.zeros_like(values))


def segment_pool(values: Array, lengths: Array, segments: int) -> Array:
    """Mean of each row over equal segments of its own duration, so that the order of sounds survives pooling.

    A frame on the border of two segments counts for both by its share; rows shorter than `segments` frames repeat
    frames, and rows of length 0 give zeros.
    Args:
      values: [N, T, F].
      lengths: [N], in frames.
      segments: number of segments S.
    Returns:
      [N, S, F].
    """
    width = (jnp.asarray(lengths) / segments)[:, None, None]
    edges = jnp.arange(segments)[None, :, None] * width
    frames = jnp.arange(values.shape[1], dtype=width.dtype)[None, None, :]
    overlap = jnp.clip(jnp.minimum(frames + 1, edges + width) - jnp.maximum(frames, edges), 0)
    share = (overlap / jnp.where(width > 0, width, 1)).astype(values.dtype)
    return jnp.einsum("nst,ntf->nsf", share, values)


class LayerNorm(nn.Module):
    """Layer normalisation, as flax.linen has it, that can count channels which pruning took away.

    Statistics are then those of all channels, the absent ones being 0, so that a network without them computes what it
    did with zeros in their place.
    Source: Ba et al. 2016 (arXiv 1607.06450), eq. 3.
    """

    channels: int | None = None
    """Of the last axis before pruning; None: none were taken."""
    axes: Sequence[int] = (-1,)
    """That an example's statistics are taken over, the last one among them."""
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, values: Array) -> Array:
        present = values.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (present,))
        bias = self.param("bias", nn.initializers.zeros, (present,))
        share = present / (self.channels or present)
        mean = share * values.mean(self.axes, keepdims=True)
        variance = share * jnp.square(values).mean(self.axes, keepdims=True) - jnp.square(mean)
        return (values - mean) * (lax.rsqrt(jnp.maximum(variance, 0) + self.epsilon) * scale) + bias


class Convolution(nn.Module):
    """`convolve` with a learned kernel and no bias."""

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        shape = (*self.kernel_size, inputs.shape[-1], self.features)
        return convolve(inputs, self.param("kernel", nn.initializers.he_normal(), shape), self.strides)


def speech_form(rows: int, frames: int, features: int) -> Any:
    """Shapes and types of a Ragged batch of log-mels, for `jax.eval_shape`: nothing is allocated."""
    return Ragged(
        jax.ShapeDtypeStruct((rows, frames, features), jnp.float32),  # type: ignore[arg-type]
        jax.ShapeDtypeStruct((rows,), jnp.int32),  # type: ignore[arg-type]
    )
