"""The best path of CTC: the likeliest class of each frame."""

import jax.numpy as jnp
import numpy as np

from jaxmeta.types import Ragged


def greedy(logits: Ragged) -> Ragged:
    """Take each frame's likeliest class, merge repetitions and drop blanks.

    The path is the likeliest one; the labels need not be, because a sequence of labels has many paths: see `beam`.

    Args:
      logits: [N, T, C] of 0, the blank, and C - 1 labels; frames beyond a row's length are inert, NaN included.
    Returns:
      Labels [N, T] int32 from the left, 0 beyond a row's length, and the lengths.
    Raises:
      ValueError: at trace time, shapes other than these.
    Source: Graves et al. 2006, "Connectionist temporal classification", section 3.2 (best path decoding).

    >>> path = np.array([[1, 1, 0, 1, 2]])  # likeliest classes; 0 is the blank
    >>> greedy(Ragged(np.eye(3)[path], np.array([5]))).values[0, :3].tolist()
    [1, 1, 2]
    """
    values, lengths = logits
    if values.ndim != 3 or values.shape[2] == 0 or lengths.shape != values.shape[:1]:
        raise ValueError(f"greedy needs logits [N, T, C] and lengths [N], got {values.shape} and {lengths.shape}.")
    path = jnp.argmax(values, axis=-1).astype(jnp.int32)
    before = jnp.pad(path, ((0, 0), (1, 0)))[:, :-1]
    frames = path.shape[1]
    emitted = (path != 0) & (path != before) & (jnp.arange(frames) < lengths[:, None])
    # What is not kept goes to a column that does not exist.
    column = jnp.where(emitted, jnp.cumsum(emitted, axis=1) - 1, frames)
    row = jnp.arange(path.shape[0])[:, None]
    labels = jnp.zeros_like(path).at[row, column].set(path, mode="drop")
    return Ragged(labels, emitted.sum(axis=1, dtype=jnp.int32))


def best_path(logits: np.ndarray) -> np.ndarray:
    """`greedy` for one row on the host, without padding: logits [T, C] to labels [L], int.

    >>> best_path(np.eye(3)[[1, 1, 0, 1, 2]]).tolist()
    [1, 1, 2]
    """
    path = logits.argmax(axis=1)
    return path[(path != 0) & (path != np.concatenate([[0], path[:-1]]))]
