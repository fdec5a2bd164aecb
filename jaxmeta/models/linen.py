"""The adapter from flax.linen to Model."""

import inspect
from collections.abc import Callable

import jax
from flax import linen as nn

from jaxmeta.types import Model

Wrap = Callable[[nn.Module], nn.Module]
"""A network as another one with the same params, before it becomes a Model."""


def unwrapped(module: nn.Module) -> nn.Module:
    """The network as it is."""
    return module


def from_linen(module: nn.Module) -> Model:
    """A linen module as a Model: its "params" collection is params, every other collection is state.

    Args:
      module: called as module(inputs), or module(inputs, train=train) if its __call__ takes `train`. Dropout and
        other random layers draw from the stream "dropout"; collections besides params change only when train is true.
    """
    takes_train = "train" in inspect.signature(type(module).__call__).parameters

    def options(train):
        return {"train": train} if takes_train else {}

    def init(key, inputs):
        variables = dict(module.init({"params": key, "dropout": key}, inputs, **options(False)))
        return variables.pop("params", {}), variables

    def apply(params, state, inputs, key, train):
        # Mutable in prediction too: a layer may insist on the statistics of the batch, which are dropped then.
        outputs, changed = module.apply(
            {"params": params, **state}, inputs, **options(train), rngs={"dropout": key}, mutable=list(state)
        )
        if not train:
            return outputs, state
        # Linen keeps batch statistics in float32 even under x64, which would change the type of a scan's carry.
        return outputs, jax.tree.map(lambda new, old: new.astype(old.dtype), dict(changed), state)

    return Model(init, apply)
