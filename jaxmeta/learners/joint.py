"""Several objectives over one network: each learner adapts and predicts by itself, all of them train it together.

Kendall, Gal and Cipolla 2018, "Multi-task learning using uncertainty to weigh losses" (arXiv 1705.07115).
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxmeta.types import MetaLearner


def joint(learners: Mapping[str, MetaLearner]) -> MetaLearner:
    """What is said and who says it, say: learners by name, whose params are those of one network.

    Wherever a learner takes an episode, a support set or `fast`, this one takes a mapping of names to them, and gives
    predictions by name: objectives may come with recordings of their own in training, and share one support set in use.
    The meta loss is the sum over objectives i of exp(-s_i) L_i + s_i / 2 with learned s_i (logarithms of variances):
    at their optimum L_i exp(-s_i) = 1 / 2, so that each gradient counts in inverse proportion to its own loss, and no
    unit or number of classes makes one of them drown the others.
    Args:
      learners: by name; their `init` draw the same params and state, of which the first one's are taken. params are
        {"network": these, "balance": s_i by name}.
    Raises:
      ValueError: no learners; at trace time, an episode that lacks one of the names.
    Source: Kendall et al. 2018, eq. 10, whose regression weight 1 / (2 sigma^2) is 1 / sigma^2 here, as for
      classification.
    """
    if not learners:
        raise ValueError("joint needs one learner at least, got none.")
    first = next(iter(learners.values()))

    def init(key, inputs):
        network, state = first.init(key, inputs)
        dtype = jax.tree.leaves(network)[0].dtype
        return {"network": network, "balance": {name: jnp.zeros((), dtype) for name in learners}}, state

    def adapt(params, state, support, key):
        _check(learners, support)
        found = {
            name: learner.adapt(params["network"], state, support[name], jax.random.fold_in(key, index))
            for index, (name, learner) in enumerate(learners.items())
        }
        return {name: fast for name, (fast, _) in found.items()}, {name: info for name, (_, info) in found.items()}

    def predict(params, state, fast, inputs, key, train):
        _check(learners, fast)
        outputs = {}
        for index, (name, learner) in enumerate(learners.items()):
            own = jax.random.fold_in(key, index)
            outputs[name], state = learner.predict(params["network"], state, fast[name], inputs, own, train)
        return outputs, state

    def meta_loss(params, state, episode, key):
        _check(learners, episode)
        total = 0.0
        for index, (name, learner) in enumerate(learners.items()):
            own = jax.random.fold_in(key, index)
            loss, state = learner.meta_loss(params["network"], state, episode[name], own)
            variance = params["balance"][name]
            total += jnp.exp(-variance) * loss + variance / 2
        return total, state

    return MetaLearner(init, adapt, predict, meta_loss)


def _check(learners, given) -> None:
    if not isinstance(given, Mapping) or not learners.keys() <= given.keys():
        held = sorted(given) if isinstance(given, Mapping) else type(given).__name__
        raise ValueError(f"joint learns {sorted(learners)} and needs a mapping of these names, got {held}.")
