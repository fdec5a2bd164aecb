"""Low-rank adapters on any model: the difference of each chosen matrix from its frozen self is a product of two.

Hu et al. 2021, "LoRA: low-rank adaptation of large language models" (arXiv 2106.09685).
"""

from collections.abc import Callable

import jax
from jax import numpy as jnp

from jaxmeta.types import Key, Model, PyTree


def low_rank(model: Model, rank: int, select: Callable[[str], bool], scale: float = 1.0) -> Model:
    """The model with adapters; adapt them alone with `adapt_only=is_adapter`.

    Args:
      model: its weights become "weights" of the params.
      rank: of the adapters, 1 or more.
      select: path of a matrix ("layer_0/kernel") -> whether it gets an adapter; leaves of less than two axes get none.
      scale: factor on the product.
    Returns:
      Model whose params are {"weights": the model's, "adapters": {path: {"down": [in, rank], "up": [rank, out]}}},
      where a leaf of more axes is a matrix whose last axis is out. The products start at zero.
    Raises:
      ValueError: rank below 1; at init, nothing that `select` chooses is a matrix.
    """
    if rank < 1:
        raise ValueError(f"rank must be 1 or more, got {rank}.")

    def init(key: Key, inputs: PyTree) -> tuple[PyTree, PyTree]:
        key, adapter_key = jax.random.split(key)
        weights, state = model.init(key, inputs)
        return with_adapters(weights, rank, select, adapter_key), state

    def apply(params, state, inputs, key, train):
        return model.apply(merged(params, scale), state, inputs, key, train)

    return Model(init, apply)


def merged(params: PyTree, scale: float = 1.0) -> PyTree:
    """Weights of the model itself that do what the adapted ones do."""

    def add(path, leaf):
        adapter = params["adapters"].get(_name(path))
        return leaf if adapter is None else leaf + (scale * (adapter["down"] @ adapter["up"])).reshape(leaf.shape)

    return jax.tree_util.tree_map_with_path(add, params["weights"])


def with_adapters(weights: PyTree, rank: int, select: Callable[[str], bool], key: Key) -> PyTree:
    """Params of `low_rank` from trained weights of the model; raises as its init does."""
    leaves = [(_name(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(weights)[0]]
    chosen = {name: leaf for name, leaf in leaves if leaf.ndim > 1 and select(name)}
    if not chosen:
        raise ValueError(f"select={select} chooses no matrix; the paths are {[name for name, _ in leaves]}.")
    keys = jax.random.split(key, len(chosen))
    return {
        "weights": weights,
        "adapters": {
            name: {
                "down": jax.random.normal(key, (leaf.size // leaf.shape[-1], rank), leaf.dtype)
                / (leaf.size / leaf.shape[-1]) ** 0.5,
                "up": jnp.zeros((rank, leaf.shape[-1]), leaf.dtype),
            }
            for key, (name, leaf) in zip(keys, chosen.items(), strict=True)
        },
    }


def is_adapter(path: str) -> bool:
    """Whether a path of the params is an adapter's, for `adapt_only`.

    >>> is_adapter("adapters/body/kernel/up"), is_adapter("body/kernel")
    (True, False)
    """
    return path.startswith("adapters/")


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
