"""Rows of different lengths as one Ragged, written once: features, labels, whatever is padded on the host."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax import numpy as jnp

from jaxmeta.types import Array, Ragged


class Clips(NamedTuple):
    """Stretches of one long array of frames, by their places in it."""

    start: Array
    """[..., N] int32, the first frame of each."""
    lengths: Array
    """[..., N] int32, its frames."""
    offsets: Array
    """[T] int32, 0 to T - 1, where T is the length that all are padded to."""


def look_up(frames: Array, clips: Clips) -> Ragged:
    """The clips as a Ragged with values [..., N, T, F], zero beyond each clip's end; within jit, too.

    Args:
      frames: [total, F].
      clips: places that lie within it.

    >>> look_up(jnp.arange(8.0)[:, None], Clips(jnp.array([5, 1]), jnp.array([2, 3]), jnp.arange(3))).values[..., 0]
    Array([[5., 6., 0.],
           [1., 2., 3.]], dtype=float32)
    """
    inside = clips.offsets < clips.lengths[..., None]
    places = jnp.where(inside, clips.start[..., None] + clips.offsets, 0)
    return Ragged(jnp.where(inside[..., None], frames[places], 0), clips.lengths)


def pad_rows(rows: Sequence[np.ndarray], length: int | None = None) -> Ragged:
    """Arrays of numpy [T_n, ...] as a Ragged with values [N, length, ...] of their type, zero beyond each row's end.

    Args:
      rows: 1 or more, of the same shape but for the first axis.
      length: at least the longest row's; None: the longest row's.
    Raises:
      ValueError: no rows, or a row is longer than length.

    >>> pad_rows([np.array([1, 2, 3]), np.array([4])], 4).values.tolist()
    [[1, 2, 3, 0], [4, 0, 0, 0]]
    """
    if not rows:
        raise ValueError("pad_rows needs one row at least, got none.")
    lengths: Any = np.array([len(row) for row in rows], np.int32)
    longest = int(lengths.max())
    if length is not None and length < longest:
        raise ValueError(f"length={length} is less than the longest row, {longest}; give a larger one, or cut the row.")
    values: Any = np.zeros((len(rows), longest if length is None else length, *rows[0].shape[1:]), rows[0].dtype)
    for padded, row in zip(values, rows, strict=True):
        padded[: len(row)] = row
    return Ragged(values, lengths)
