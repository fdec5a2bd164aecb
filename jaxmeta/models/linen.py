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


_WHEN_TRAINING = ("train", "training", "is_training", "is_train", "train_mode")
_WHEN_NOT = ("deterministic", "use_running_average", "eval", "evaluate", "is_eval", "eval_mode", "inference", "test",
             "testing", "is_test")  # fmt: skip
"""Names that networks give the flag of __call__ which says whether they train."""


def from_linen(module: nn.Module) -> Model:
    """A linen module as a Model: its "params" collection is params, every other collection is state.

    Args:
      module: called as module(inputs), with the flags among `train`, `training`, `is_training`, `deterministic`,
        `use_running_average` and the like that its __call__ takes. Dropout and other random layers draw from the stream
        "dropout"; collections besides params change only when it trains.
    Raises:
      ValueError: __call__ needs another argument, or a flag is set in the module itself, where training and prediction
        would be the same.
    """
    flags = _flags(module)

    def options(train):
        return {name: train == when for name, when in flags.items()}

    def init(key, inputs):
        try:
            variables = dict(module.init({"params": key, "dropout": key}, inputs, **options(False)))
        except jax.errors.TracerBoolConversionError as error:
            raise ValueError(
                f"{type(module).__name__} traces {', '.join(flags) or 'its arguments'}, as nn.remat and nn.jit do; "
                "wrap blocks inside of the network, so that its own __call__ gets the flag as it is."
            ) from error
        return variables.pop("params", {}), variables

    def apply(params, state, inputs, key, train):
        # Mutable in prediction too: a layer may insist on the statistics of the batch, which are dropped then.
        outputs, changed = module.apply(
            {"params": params, **state}, inputs, **options(train), rngs={"dropout": key}, mutable=list(state)
        )
        if not train:
            return outputs, state
        # Linen keeps batch statistics in float32 even under x64, which would change the type of a scan's carry.
        return outputs, jax.tree.map(_as_before, dict(changed), state)

    return Model(init, apply)


def _flags(module: nn.Module) -> dict[str, bool]:
    """The flags that __call__ takes, and whether they are true when it trains."""
    name = type(module).__name__
    parameters = list(inspect.signature(type(module).__call__).parameters.values())[2:]
    known = {**dict.fromkeys(_WHEN_TRAINING, True), **dict.fromkeys(_WHEN_NOT, False)}
    taken = {each.name for each in parameters}
    for each in parameters:
        needed = each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        if needed and each.name not in known:
            raise ValueError(
                f"{name}.__call__ needs {each.name!r}, which from_linen does not know; call it `train` if it says "
                "whether the network trains, or give it a default."
            )
    # Layers such as nn.BatchNorm take a flag in either place; set in the module, it would hold always.
    if fixed := sorted(flag for flag in known if isinstance(getattr(module, flag, None), bool)):
        raise ValueError(
            f"{name}({fixed[0]}={getattr(module, fixed[0])}) is the same in training and in prediction; take "
            f"{fixed[0]!r} as an argument of __call__ instead."
        )
    return {flag: when for flag, when in known.items() if flag in taken}


def _as_before(new: jax.Array, old: jax.Array) -> jax.Array:
    return new if jax.dtypes.issubdtype(old.dtype, jax.dtypes.prng_key) else new.astype(old.dtype)
