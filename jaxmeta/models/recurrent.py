"""Recurrent layers for Ragged batches: both directions in one scan, whose carry is zero outside of each row."""

from collections.abc import Callable
from typing import Literal

import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from jaxmeta.models.accelerated.gru import gru, products_are_replaced
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
        if self.cell == "gru" and not products_are_replaced():
            return _side_by_side(ahead, back, mask)
        return _one_loop(_gru if self.cell == "gru" else _lstm, ahead, back, mask)

    def _direction(self, name: str, values: Array) -> tuple[Array, Array, Array]:
        """What the inputs give the gates, [N, T, G * features], the recurrent weights and their bias."""
        units = GATES[self.cell] * self.features
        gates = nn.Dense(units, name=f"{name}_inputs")(values)
        kernel = self.param(f"{name}_kernel", nn.initializers.orthogonal(), (self.features, units))
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (self.features,))
        return gates, kernel, bias


def _side_by_side(ahead: tuple[Array, ...], back: tuple[Array, ...], mask: Array) -> Array:
    """Both directions by `gru`, whose gradient takes one loop."""
    # Time first, as loops want it; the other direction starts at the padded end, where its state stays zero.
    gates = jnp.stack([jnp.swapaxes(ahead[0], 0, 1), jnp.swapaxes(back[0], 0, 1)[::-1]], axis=1)
    real = jnp.swapaxes(mask, 0, 1)
    real = jnp.stack([real, real[::-1]], axis=1)
    kernels, biases = (jnp.stack(pair) for pair in zip(ahead[1:], back[1:], strict=True))
    states = gru(gates, kernels, biases, real)
    return jnp.swapaxes(jnp.concatenate([states[:, 0], states[::-1, 1]], axis=-1), 0, 1)


def _one_loop(cell: Callable, ahead: tuple[Array, ...], back: tuple[Array, ...], mask: Array) -> Array:
    """Both directions by a loop that JAX differentiates by itself."""
    steps = [(jnp.swapaxes(gates, 0, 1), jnp.swapaxes(mask, 0, 1)) for gates in (ahead[0], back[0])]
    steps[1] = jax.tree.map(lambda leaf: leaf[::-1], steps[1])
    zero = jnp.zeros((mask.shape[0], ahead[2].shape[0]), ahead[0].dtype)
    start = (zero,) * (2 if cell is _lstm else 1)
    advances = [cell(kernel, bias) for _, kernel, bias in (ahead, back)]

    def step(carries, inputs):
        moved = tuple(
            _where(real, advance(carry, gates))
            for advance, carry, (gates, real) in zip(advances, carries, inputs, strict=True)
        )
        return moved, (moved[0][0], moved[1][0])

    _, (first, second) = jax.lax.scan(step, (start, start), tuple(steps))
    return jnp.swapaxes(jnp.concatenate([first, second[::-1]], axis=-1), 0, 1)


def _gru(kernel: Array, bias: Array) -> Callable:
    def step(carry, gates):
        (hidden,) = carry
        reset, keep, new = jnp.split(gates, 3, axis=-1)
        reset_hidden, keep_hidden, new_hidden = jnp.split(_product(hidden, kernel), 3, axis=-1)
        keep = nn.sigmoid(keep + keep_hidden)
        new = jnp.tanh(new + nn.sigmoid(reset + reset_hidden) * (new_hidden + bias))
        return (new + keep * (hidden - new),)

    return step


def _lstm(kernel: Array, bias: Array) -> Callable:
    def step(carry, gates):
        hidden, memory = carry
        enter, forget, new, leave = jnp.split(gates + _product(hidden, kernel), 4, axis=-1)
        memory = nn.sigmoid(forget + 1 + bias) * memory + nn.sigmoid(enter) * jnp.tanh(new)
        return nn.sigmoid(leave) * jnp.tanh(memory), memory

    return step


def _product(hidden: Array, kernel: Array) -> Array:
    # By its name, not as an operator, so that what replaces products (qwix does) finds it.
    return lax.dot_general(hidden, kernel, (((1,), (0,)), ((), ())))


def _where(real: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(where(real, leaf) for leaf in carry)
