"""Attention with rotary positions, and the blocks of the Conformer and of the Transformer decoder."""

from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.accelerated.depthwise import depthwise
from jaxmeta.models.layers import where
from jaxmeta.types import Array

_NEVER = -1e9
"""Added where attention must not look; minus infinity would make a row that sees nothing NaN."""


class Attention(nn.Module):
    """Multi-head attention.

    Source: Vaswani et al. 2017 (arXiv 1706.03762); positions by rotation as in Su et al. 2021 (arXiv 2104.09864), so
    that a score depends on how far apart two frames are and on nothing else.
    """

    heads: int
    rotary: bool = True
    """False for attention to another sequence, whose positions have another meaning."""

    @nn.compact
    def __call__(self, queries: Array, keys: Array, mask: Array) -> Array:
        """[N, Q, D], [N, K, D], [N, 1 or Q, K] bool (True: may look) -> [N, Q, D]."""
        size = queries.shape[-1]
        if size % (2 * self.heads):
            raise ValueError(f"{self.heads} heads need a width that {2 * self.heads} divides, got {size}.")
        shape = (self.heads, size // self.heads)
        query = nn.DenseGeneral(shape, name="query")(queries)
        key = nn.DenseGeneral(shape, name="key")(keys)
        value = nn.DenseGeneral(shape, name="value")(keys)
        if self.rotary:
            query, key = rotate(query), rotate(key)
        scores = jnp.einsum("nqhd,nkhd->nhqk", query, key) / jnp.sqrt(shape[1]).astype(query.dtype)
        weights = nn.softmax(jnp.where(mask[:, None], scores, _NEVER))
        mixed = jnp.einsum("nhqk,nkhd->nqhd", weights, value)
        return nn.DenseGeneral(size, axis=(-2, -1), name="out")(mixed)


def rotate(values: Array) -> Array:
    """Turn each pair of features of [N, T, H, D] by an angle that grows with the position, T along axis 1."""
    half = values.shape[-1] // 2
    frequency = 10_000.0 ** (-jnp.arange(half, dtype=values.dtype) / half)
    angle = jnp.arange(values.shape[1], dtype=values.dtype)[:, None, None] * frequency
    first, second = values[..., :half], values[..., half:]
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return jnp.concatenate([first * cosine - second * sine, first * sine + second * cosine], axis=-1)


class FeedForward(nn.Module):
    """Two linear layers with a swish between, four times as wide inside unless `inner` says otherwise."""

    inner: int | None = None

    @nn.compact
    def __call__(self, values: Array) -> Array:
        hidden = nn.swish(nn.Dense(self.inner or 4 * values.shape[-1], name="up")(values))
        return nn.Dense(values.shape[-1], name="down")(hidden)


class ConvolutionModule(nn.Module):
    """The Conformer's convolution over time: a gated linear layer, one kernel a feature, a linear layer.

    Differs from Gulati et al. 2020: layer normalisation for batch statistics, which padding and small batches disturb.
    """

    kernel_size: int = 15

    @nn.compact
    def __call__(self, values: Array, mask: Array) -> Array:
        """[N, T, D], [N, T] bool -> [N, T, D]."""
        size = values.shape[-1]
        value, gate = jnp.split(nn.Dense(2 * size, name="up")(values), 2, axis=-1)
        hidden = where(mask[..., None], value * nn.sigmoid(gate))
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (self.kernel_size, 1, size))
        hidden = nn.swish(nn.LayerNorm()(depthwise(hidden, kernel[:, 0])))
        return nn.Dense(size, name="down")(hidden)


class ConformerBlock(nn.Module):
    """Half a feed-forward layer, attention, convolution, half a feed-forward layer, each on a normalised input.

    Source: Gulati et al. 2020 (arXiv 2005.08100), eq. 1, with rotary positions.
    """

    heads: int
    inner: tuple[int | None, int | None] = (None, None)
    """Of the feed-forward layers."""
    kernel_size: int = 15
    dropout: float = 0.0

    @nn.compact
    def __call__(self, values: Array, mask: Array, train: bool) -> Array:
        """[N, T, D], [N, T] bool -> [N, T, D]."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        values += 0.5 * drop(FeedForward(self.inner[0], name="first")(nn.LayerNorm()(values)))
        normed = nn.LayerNorm()(values)
        values += drop(Attention(self.heads, name="attention")(normed, normed, mask[:, None]))
        values += drop(ConvolutionModule(self.kernel_size, name="convolution")(nn.LayerNorm()(values), mask))
        values += 0.5 * drop(FeedForward(self.inner[1], name="second")(nn.LayerNorm()(values)))
        return nn.LayerNorm()(values)


class DecoderBlock(nn.Module):
    """Attention to what is written so far, attention to the encoder's output, a feed-forward layer."""

    heads: int
    inner: int | None = None
    dropout: float = 0.0

    @nn.compact
    def __call__(self, values: Array, memory: Array, mask: Array, train: bool) -> Array:
        """[N, L, D], [N, T, E], mask [N, T] of the memory -> [N, L, D]; position l sees positions up to l."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        causal = jnp.tril(jnp.ones((1, values.shape[1], values.shape[1]), bool))
        normed = nn.LayerNorm()(values)
        values += drop(Attention(self.heads, name="itself")(normed, normed, causal))
        values += drop(
            Attention(self.heads, rotary=False, name="memory")(nn.LayerNorm()(values), memory, mask[:, None])
        )
        return values + drop(FeedForward(self.inner, name="feed_forward")(nn.LayerNorm()(values)))
