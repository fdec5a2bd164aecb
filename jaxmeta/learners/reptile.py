"""Reptile: move the initial weights towards the weights that each task ends at.

Nichol, Achiam and Schulman 2018, "On first-order meta-learning algorithms" (arXiv 1803.02999).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxmeta import tree
from jaxmeta.estimators import first_order
from jaxmeta.objective import adapting
from jaxmeta.types import Batch, Episode, Inner, Loss, MetaLearner, Model


def reptile(
    model: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    adapt_only: Callable[[str], bool] = tree.everything,
) -> MetaLearner:
    """Weights adapt by gradient descent; the meta-gradient is the initial weights less the adapted ones.

    The meta-loss is half the squared distance between the two, the adapted ones held constant: it costs no second
    derivative and says nothing of how well a task is solved. Leaves that do not adapt have the meta-gradient 0.

    Args:
      model: the network; params are its weights.
      loss: (outputs, targets) -> [N].
      optimizer: inner optimizer, any optax transformation; it is never differentiated.
      steps: inner steps, 0 or more; one alone makes the meta-gradient that of training on all tasks together.
      adapt_only: path of a leaf ("body/conv_0/kernel") -> whether it adapts; fast has None elsewhere.
    Raises:
      ValueError: at trace time, if `adapt_only` selects none or all of the leaves; if the support and query sets of
        an episode differ in more than their number of examples.
    Source: Nichol et al. 2018, algorithm 2. Differs: every step uses the whole of the task's data, not a minibatch.
      Without a query set of its own, the meta-loss adapts to support and query together; `adapt` to the support set.
      State is that of one more pass over these data with the adapted weights, free where the state does not change.

    >>> learner = reptile(model, cross_entropy, optax.sgd(0.1), steps=5)
    >>> params, state = learner.init(key, support.inputs)
    >>> tree.paths(jax.eval_shape(learner.adapt, params, state, support, key)[0])  # what adapts
    ['body/kernel', 'head/kernel']
    """
    task = adapting(model, loss, adapt_only)
    solve = first_order()(Inner(task.loss, lambda params: optimizer, steps))

    def adapt(params, state, support, key):
        return solve(task.start(params), params, state, support, key)

    def meta_loss(params, state, episode, key):
        inner_key, state_key = jax.random.split(key)
        data, constant = _pooled(episode), jax.lax.stop_gradient(params)
        fast, _ = adapt(constant, state, data, inner_key)
        _, state = task.predict(constant, state, fast, data.inputs, state_key, True)
        return tree.squared_distance(task.start(params), fast) / 2, state

    return MetaLearner(model.init, adapt, task.predict, meta_loss)


def _pooled(episode: Episode) -> Batch:
    """Support and query as one batch."""
    support, query = ([jnp.shape(leaf)[1:] for leaf in jax.tree.leaves(batch)] for batch in episode)
    if support != query:
        raise ValueError(
            "reptile adapts to support and query together, so their examples need equal shapes, got "
            f"{support} and {query}; pad both to one length."
        )
    return tree.concatenate(*episode)
