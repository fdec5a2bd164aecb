"""What every augmentation shares: functions of one row lifted to Ragged, with a key a row and inert padding."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmeta.types import Array, Key, Ragged

Transform = Callable[[Key, Ragged], Ragged]
Row = Callable[[Key, Array, Array], tuple[Array, Array]]
"""(key, values [T, ...], length) -> (values, length)."""


def each_row(row: Row, ndim: tuple[int, ...]) -> Transform:
    """Lift a function of one row to Ragged, with a key a row, and zeros beyond the lengths."""

    def transform(key: Key, inputs: Ragged) -> Ragged:
        shapes = " or ".join({2: "[N, T]", 3: "[N, T, F]"}[number] for number in ndim)
        check(inputs.values.ndim in ndim, f"inputs.values must be {shapes}, got shape {inputs.values.shape}.")
        keys = row_keys(key, inputs.values.shape[0])
        values, lengths = jax.vmap(row)(keys, inputs.values, inputs.lengths)
        return masked(values.astype(inputs.values.dtype), lengths)

    return transform


def row_keys(key: Key, count: int) -> Array:
    """One key for each of `count` rows, [count]."""
    # Not split(key, count), in which every key depends on the number of rows.
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(count))


def masked(values: Array, lengths: Array) -> Ragged:
    """Ragged with zeros beyond the lengths."""
    valid = jnp.arange(values.shape[1]) < lengths[:, None]
    return Ragged(jnp.where(valid.reshape(*valid.shape, *[1] * (values.ndim - 2)), values, 0), lengths)


def expand(mask: Array, values: Array) -> Array:
    """A mask [T] with as many axes as values [T, ...], to broadcast against them."""
    return mask.reshape(-1, *[1] * (values.ndim - 1))


def interpolate(values: Array, position: Array, last: Array) -> Array:
    """Return the values [T, ...] at fractional positions in [0, last] of the first axis."""
    below = jnp.floor(position).astype(jnp.int32)
    share = expand(position - below, values)
    left, right = values[below], values[jnp.minimum(below + 1, last)]
    # Not left + share * (right - left): at share 0 the right value must not even be rounded in.
    return jnp.where(share > 0, (1 - share) * left + share * right, left)


def check_range(what: str, low: float, high: float) -> None:
    """Raise ValueError unless low <= high."""
    check(low <= high, f"{what}: low={low} must not exceed high={high}.")


def check(condition: bool, message: str) -> None:
    """Raise ValueError with this message unless the condition holds."""
    if not condition:
        raise ValueError(message)
