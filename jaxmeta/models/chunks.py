"""A model that sees a few rows of its inputs at a time, so that memory does not grow with their number."""

import jax
import jax.numpy as jnp

from jaxmeta.types import Array, Model, PyTree


def in_chunks(model: Model, rows: int) -> Model:
    """The model on so many rows at a time, in forward passes and in gradients, which compute each chunk once more.

    Args:
      model: treats rows by themselves, and has no state that training changes.
      rows: of a chunk, 1 or more; inputs of so many rows or fewer are not divided.
    Raises:
      ValueError: rows below 1; at trace time, a model with state.
    """
    if rows < 1:
        raise ValueError(f"in_chunks(rows={rows}) needs 1 row or more.")

    def apply(params: PyTree, state: PyTree, inputs: PyTree, key: Array, train: bool) -> tuple[PyTree, PyTree]:
        count = len(jax.tree.leaves(inputs)[0])
        if count <= rows:
            return model.apply(params, state, inputs, key, train)
        if jax.tree.leaves(state):
            raise ValueError("in_chunks takes models without state: that of each chunk would replace the one before.")
        chunks = -(-count // rows)
        # The last chunk is filled up with the last row, whose outputs are dropped.
        index = jnp.minimum(jnp.arange(chunks * rows), count - 1).reshape(chunks, rows)

        @jax.checkpoint
        def chunk(params: PyTree, inputs: PyTree, index: Array, key: Array) -> PyTree:
            taken = jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], inputs)
            return model.apply(params, state, taken, key, train)[0]

        keys = jax.random.split(key, chunks)
        outputs = jax.lax.map(lambda each: chunk(params, inputs, *each), (index, keys))
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:count], outputs), state

    return Model(model.init, apply)
