"""Adaptation on a device: all users share one compressed network, and each adds only the weights that adapted.

learner = decoded(differences(fine_tuning(model, "norms", rate=0.1, steps=5)))
params = quantise_params(weights)                              # stays int8
fast, _ = learner.adapt(params, state, support, key)           # a few kilobytes
outputs, state = learner.predict(params, state, fast, inputs, key, False)
"""

import jax
import jax.numpy as jnp

from jaxmeta import tree
from jaxmeta.compress.quantize import dequantise_params
from jaxmeta.types import MetaLearner, PyTree


def decoded(learner: MetaLearner) -> MetaLearner:
    """The learner, whose params may hold `Quantised` leaves: they stay codes, and become floats while it computes.

    What adapts must be float: give `quantise_params` a `chosen` that leaves it out, or adapt norms and biases. `init`
    is the learner's own.
    """

    def adapt(params, state, support, key):
        return learner.adapt(dequantise_params(params), state, support, key)

    def predict(params, state, fast, inputs, key, train):
        return learner.predict(dequantise_params(params), state, fast, inputs, key, train)

    def meta_loss(params, state, episode, key):
        return learner.meta_loss(dequantise_params(params), state, episode, key)

    return MetaLearner(learner.init, adapt, predict, meta_loss)


def differences(learner: MetaLearner, dtype=jnp.float16) -> MetaLearner:
    """The learner, whose fast are the differences of the weights that adapted from those of params, in fewer bits.

    Args:
      learner: fast is params with None where nothing adapts, as that of `maml` and its relatives is.
      dtype: of the differences. float16 keeps 3 digits of each; where one is above 65,504, all has gone wrong before.
    """

    def adapt(params, state, support, key):
        fast, info = learner.adapt(params, state, support, key)
        moved = jax.tree.map(lambda new, old: (new - old).astype(dtype), fast, _where_adapting(params, fast))
        return moved, info

    def predict(params, state, fast, inputs, key, train):
        start = _where_adapting(params, fast)
        weights = jax.tree.map(lambda difference, old: old + difference.astype(old.dtype), fast, start)
        return learner.predict(params, state, weights, inputs, key, train)

    return MetaLearner(learner.init, adapt, predict, learner.meta_loss)


def user_bytes(fast: PyTree) -> int:
    """Bytes of what adapts; its leaves may be shapes alone."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(fast))


def _where_adapting(params: PyTree, fast: PyTree) -> PyTree:
    """Params with None where fast has it."""
    adapting = set(tree.paths(fast))
    return tree.partition(params, lambda path: path in adapting)[0]
