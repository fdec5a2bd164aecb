"""What Whisper and the wav2vec2 family share: attention, normalisation and activations, with their names of weights."""

from collections.abc import Callable
from functools import partial

from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.types import Array

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": partial(nn.gelu, approximate=False),
    "gelu_new": partial(nn.gelu, approximate=True),
    "relu": nn.relu,
    "silu": nn.silu,
}
"""By what config.json calls them."""

# The exact variance, and not the mean of squares less the square of the mean: it loses half of the digits.
LayerNorm = partial(nn.LayerNorm, use_fast_variance=False)


class Attention(nn.Module):
    """Multi-head attention with a bias of scores. Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2."""

    width: int
    heads: int
    key_bias: bool = True

    def setup(self) -> None:
        self.q_proj = nn.Dense(self.width)
        self.k_proj = nn.Dense(self.width, use_bias=self.key_bias)
        self.v_proj = nn.Dense(self.width)
        self.out_proj = nn.Dense(self.width)

    def keys_values(self, values: Array) -> tuple[Array, Array]:
        """[N, K, D] -> keys and values [N, K, H, D / H]."""
        return self._split(self.k_proj(values)), self._split(self.v_proj(values))

    def __call__(
        self, values: Array, keys_values: tuple[Array, Array], mask: Array, bias: Array | None = None
    ) -> Array:
        """Queries of [N, Q, D] look at keys and values where the mask, [N or 1, 1, Q or 1, K], is true -> [N, Q, D]."""
        keys, seen = keys_values
        query = self._split(self.q_proj(values)) * (self.width // self.heads) ** -0.5
        scores = jnp.einsum("nqhd,nkhd->nhqk", query, keys)
        scores = scores if bias is None else scores + bias
        # Minus infinity would make a row that sees nothing NaN.
        weights = nn.softmax(jnp.where(mask, scores, jnp.finfo(scores.dtype).min))
        mixed = jnp.einsum("nhqk,nkhd->nqhd", weights, seen)
        return self.out_proj(mixed.reshape(*mixed.shape[:2], self.width))

    def _split(self, values: Array) -> Array:
        return values.reshape(*values.shape[:2], self.heads, self.width // self.heads)


def widened(values: Array) -> Array:
    """In float32 at least: features, activations and weights may be stored in half of it, sums are not."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def require(fields: dict[str, object], allowed: dict[str, tuple]) -> None:
    """Raises ValueError for a field of config.json whose value these networks do not compute."""
    for name, values in allowed.items():
        if fields.get(name, values[0]) not in values:
            raise ValueError(
                f"config.json has {name}={fields[name]!r}; this reader knows {' or '.join(map(repr, values))}. "
                "Convert the checkpoint, or choose another."
            )
