"""Networks that compute in fewer bits than their weights have."""

import jax
from jax import numpy as jnp

from jaxmeta.types import Array, Model, PyTree


def in_bfloat16(model: Model) -> Model:
    """The model, computing in bfloat16 between float32 weights and float32 outputs, for processors that are fast at it.

    Gradients and whatever adapts stay in float32, and products add up in float32. Losses see float32.
    Args:
      model: whose layers follow the type of their inputs and weights; its state stays as it is.
    Source: Micikevicius et al. 2018 (arXiv 1710.03740), section 3.1; bfloat16 needs no scaling of the loss.
    """

    def apply(params: PyTree, state: PyTree, inputs: PyTree, key, train: bool):
        narrow = jax.tree.map(lambda leaf: _to(leaf, jnp.bfloat16), (params, inputs))
        outputs, moved = model.apply(narrow[0], state, narrow[1], key, train)
        moved = jax.tree.map(lambda new, old: jnp.asarray(new).astype(jnp.asarray(old).dtype), moved, state)
        return jax.tree.map(lambda leaf: _to(leaf, jnp.float32), outputs), moved

    return Model(model.init, apply)


def _to(leaf: Array, dtype) -> Array:
    return jnp.asarray(leaf).astype(dtype) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else leaf
