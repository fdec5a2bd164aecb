"""Recurrent layers for Ragged batches: both directions in one scan, whose carry is zero outside of each row."""

from typing import Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.gru import gru, product
from jaxmeta.models.layers import frame_mask, where
from jaxmeta.types import Array

Cell = Literal["gru", "lstm"]
GATES = {"gru": 3, "lstm": 4}


class Bidirectional(nn.Module):
    """A recurrence over time and one against it, side by side.

    What lies beyond a row's length is zero in the output and reaches nothing, NaN included. The product of inputs and
    weights is taken for all frames at once, outside of the scan.
    Sources: Cho et al. 2014 (arXiv 1406.1078) as PyTorch and cuDNN compute it, the reset gate after the product;
    Hochreiter and Schmidhuber 1997 with a forget gate, whose bias starts at 1 (Jozefowicz et al. 2015).
    """

    features: int
    """Units of each direction."""
    cell: Cell = "gru"

    @nn.compact
    def __call__(self, values: Array, lengths: Array) -> Array:
        """[N, T, F], [N] -> [N, T, 2 * features]."""
        if self.cell not in GATES:
            raise ValueError(f"cell must be 'gru' or 'lstm', got {self.cell!r}.")
        mask = frame_mask(lengths, values.shape[1])[..., None]
        values = where(mask, values)
        ahead, back = (self._direction(name, values) for name in ("ahead", "back"))
        # Time first, as loops want it; the other direction starts at the padded end, where its state stays zero.
        gates = jnp.stack([jnp.swapaxes(ahead[0], 0, 1), jnp.swapaxes(back[0], 0, 1)[::-1]], axis=1)
        real = jnp.swapaxes(mask, 0, 1)
        real = jnp.stack([real, real[::-1]], axis=1)
        kernels, biases = (jnp.stack(pair) for pair in zip(ahead[1:], back[1:], strict=True))
        states = (gru if self.cell == "gru" else _lstm)(gates, kernels, biases, real)
        return jnp.swapaxes(jnp.concatenate([states[:, 0], states[::-1, 1]], axis=-1), 0, 1)

    def _direction(self, name: str, values: Array) -> tuple[Array, Array, Array]:
        """What the inputs give the gates, [N, T, G * features], the recurrent weights and their bias."""
        units = GATES[self.cell] * self.features
        gates = nn.Dense(units, name=f"{name}_inputs")(values)
        kernel = self.param(f"{name}_kernel", nn.initializers.orthogonal(), (self.features, units))
        return gates, kernel, self.param(f"{name}_bias", nn.initializers.zeros, (self.features,))


def _lstm(gates: Array, kernel: Array, bias: Array, real: Array) -> Array:
    """As `gru`; the bias is that of the forget gate."""

    def step(carry, inputs):
        (hidden, memory), (gates, real) = carry, inputs
        enter, forget, new, leave = jnp.split(gates + product(hidden, kernel), 4, axis=-1)
        memory = nn.sigmoid(forget + 1 + bias[:, None]) * memory + nn.sigmoid(enter) * jnp.tanh(new)
        carry = tuple(where(real, leaf) for leaf in (nn.sigmoid(leave) * jnp.tanh(memory), memory))
        return carry, carry[0]

    zero = jnp.zeros((*gates.shape[1:3], kernel.shape[1]), gates.dtype)
    return jax.lax.scan(step, (zero, zero), (gates, real))[1]
