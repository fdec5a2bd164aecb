"""A network with copies of some weights for each inner step, such as the batch normalisation of MAML++.

Antoniou, Edwards and Storkey 2019, "How to train your MAML" (arXiv 1810.09502), section 4: BNRS and BNWB.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmeta import tree
from jaxmeta.objective import Adapting, adapting
from jaxmeta.types import Loss, Model, PyTree


class PerStep(NamedTuple):
    """A network with copies of some of its leaves, stacked along a leading axis [steps + 1]."""

    init: Callable[..., tuple[PyTree, PyTree]]
    """(key, inputs) -> (params, state) with the copies stacked, all equal."""
    at: Callable[[PyTree, int], PyTree]
    """(params or state, inner steps taken) -> that of the network; beyond the last copy, the last."""
    put: Callable[[PyTree, int, PyTree], PyTree]
    """(state, inner steps taken, state of the network) -> state with that copy and all uncopied leaves replaced."""
    adapting: Callable[[Loss, Callable[[str], bool]], Adapting]
    """(loss, adapt_only) -> the inner problem of the network, in which copied leaves do not adapt."""


def batch_norm(path: str) -> bool:
    """A predicate for `per_step`: parameters and running statistics of BatchNorm, as flax names it."""
    return "BatchNorm" in path


def per_step(model: Model, steps: int, copied: Callable[[str], bool] = batch_norm) -> PerStep:
    """Make of a network one for `maml_plus_plus` whose normalisation is another after every inner step.

    Copied parameters are meta-learned and do not adapt. A network without any stays as it is.

    Args:
      model: the network.
      steps: inner steps in training, 0 or more. There is one copy more: the first is for the weights before any step.
      copied: path of a leaf of params or state ("batch_stats/BatchNorm_0/mean") -> whether it has copies.
    Raises:
      ValueError: at trace time, if every leaf that would adapt has copies.
    Source: Antoniou et al. 2019, section 4. Differs: a copy belongs to the weights after so many steps; there, the
      support set before a step and the query set after it share one.
    """

    def on_copied(function, leaves, *others):
        """function(leaf, *others) where there are copies; elsewhere the last of these."""

        def choose(path, *leaves):
            return function(*leaves) if copied(tree.leaf_path(path)) else leaves[-1]

        return jax.tree_util.tree_map_with_path(choose, leaves, *others)

    def init(key, inputs):
        params, state = model.init(key, inputs)
        return tuple(on_copied(lambda leaf: jnp.stack([leaf] * (steps + 1)), leaves) for leaves in (params, state))

    def at(leaves, step):
        return on_copied(lambda leaf: leaf[jnp.minimum(step, len(leaf) - 1)], leaves)

    def put(state, step, new):
        return on_copied(lambda leaf, new: leaf.at[jnp.minimum(step, len(leaf) - 1)].set(new), state, new)

    def uncopied(loss, adapt_only):
        task = adapting(model, loss, adapt_only)

        def start(params):
            fast, _ = tree.partition(task.start(params), lambda path: not copied(path))
            if not jax.tree.leaves(fast):
                raise ValueError(f"{adapt_only=} and {copied=} leave nothing to adapt of {tree.paths(params)}.")
            return fast

        def whole(fast, params):
            return tree.merge(fast, task.start(params))

        return Adapting(
            start=start,
            loss=lambda fast, params, *rest: task.loss(whole(fast, params), params, *rest),
            predict=lambda params, state, fast, *rest: task.predict(params, state, whole(fast, params), *rest),
        )

    return PerStep(init, at, put, uncopied)
