"""A large network of which a small part learns: what is frozen is no part of the params.

So it has no gradients, no optimizer state and no place in a checkpoint, and it may have half of the precision.
"""

from collections.abc import Callable

from jax import numpy as jnp

from jaxmeta.types import Key, Model, PyTree


def frozen(model: Model, base: PyTree, learns: Callable[[str], bool]) -> Model:
    """The model with weights of `base` in the place of all params but those that learn.

    Inside of a jitted function, build the learner from a `base` that is an argument of that function: the weights are
    then an input of the program. From outside, they become constants in it, which only small ones should be.
    Args:
      model: the network; params are nested dicts.
      base: some of its params, in the same places, of any floating type. Others there are not looked at.
      learns: path of a leaf ("adapters/layer_0/kernel/up") -> whether it is in the params.
    Returns:
      Model whose params are the leaves that learn. They start as they are in `base`, in float32 at least, and as the
      model draws them if they are not there.
    Raises:
      ValueError: at init, no leaf learns; one that does not is missing from `base`; shapes differ.

    >>> with_head = frozen(model, model.init(key, None)[0], lambda path: path.startswith("head"))
    >>> list(with_head.init(key, None)[0])
    ['head']
    """

    def init(key: Key, inputs: PyTree) -> tuple[PyTree, PyTree]:
        params, state = model.init(key, inputs)
        learned = _learned(params, base, learns, "")
        if not learned:
            raise ValueError(f"learns={learns} chooses none of the params, which have the parts {sorted(params)}.")
        return learned, state

    def apply(params, state, inputs, key, train):
        return model.apply(whole(params, base), state, inputs, key, train)

    return Model(init, apply)


def whole(params: PyTree, base: PyTree) -> PyTree:
    """Params of the network itself: those that learn, and those of the base in all other places."""
    if params is None:
        return base
    if not isinstance(params, dict) or not isinstance(base, dict):
        return params
    return {name: whole(params.get(name), base.get(name)) for name in base | params}


def _learned(params: PyTree, base: PyTree, learns: Callable[[str], bool], path: str) -> PyTree:
    """The leaves of the params that learn, as the base has them, in dicts without empty ones."""
    if not isinstance(params, dict):
        if base is not None and base.shape != params.shape:
            raise ValueError(f"base has the shape {base.shape} at {path}, the model needs {params.shape}.")
        if learns(path):
            return params if base is None else base.astype(jnp.promote_types(base.dtype, jnp.float32))
        if base is None:
            raise ValueError(f"base lacks {path}, which does not learn either; read it, or let learns choose it.")
        return None
    inside = base if isinstance(base, dict) else {}
    parts = {
        name: _learned(leaf, inside.get(name), learns, f"{path}/{name}" if path else name)
        for name, leaf in params.items()
    }
    return {name: part for name, part in parts.items() if part is not None} or None
