"""Arrays kept as a checkpoint of their own, without a training state around them; hashed as any other."""

from pathlib import Path

import jax
import jax.numpy as jnp

from jaxmeta.training.checkpoint import CheckpointError, restore, save
from jaxmeta.training.update import TrainState
from jaxmeta.types import PyTree


def save_weights(folder: str | Path, weights: PyTree) -> Path:
    """Write a tree of arrays into a folder of its own.

    Raises:
      OSError: it could not be written.
    """
    return save(folder, _as_state(weights), keep=1)


def load_weights(folder: str | Path, like: PyTree) -> PyTree:
    """Read what `save_weights` wrote.

    Args:
      folder: as written.
      like: a tree of arrays, or of their shapes and types.
    Raises:
      CheckpointError: nothing is there, or what is there is damaged, or of another form.
    """
    found = restore(folder, _as_state(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)))
    if found is None:
        raise CheckpointError(f"{folder} holds nothing; copy the folder around it whole, or make it again.")
    return found.params


def _as_state(weights: PyTree) -> TrainState:
    return TrainState(jnp.zeros((), jnp.int32), jax.random.key(0), weights, {}, ())
