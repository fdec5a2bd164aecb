"""Random keys in one form: a legacy key has an axis of its own, and so counts as two where keys are counted."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxmeta.types import Array, Key, PyTree


def typed(key: Any) -> Key:
    """A key, or keys, as jax.random.key makes them; those of jax.random.PRNGKey give the same numbers afterwards.

    Raises:
      ValueError: it is no key, such as a seed.
    """
    if is_typed(key):
        return key
    if not (hasattr(key, "dtype") and key.dtype == jnp.uint32 and key.ndim):
        raise ValueError(f"expected a random key, got {key!r}; make one from a seed by jax.random.key(seed).")
    return jax.random.wrap_key_data(key)


def is_typed(leaf: Any) -> bool:
    """Whether a leaf is a key as jax.random.key makes it."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def as_numbers(tree: PyTree) -> PyTree:
    """The tree with typed keys as the integers that they hold, which can be masked, summed and compared."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_typed(leaf) else leaf, tree)


def as_keys(numbers: PyTree, like: PyTree) -> PyTree:
    """What `as_numbers` made of a tree, as that tree has it."""

    def restored(leaf: Array, form: Any) -> Array:
        return jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(form)) if is_typed(form) else leaf

    return jax.tree.map(restored, numbers, like)
