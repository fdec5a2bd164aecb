"""Bootstrapped meta-gradients: reach in a few steps where more steps would lead.

Flennerhag, Schroecker, Zahavy, van Hasselt, Silver and Singh 2022, "Bootstrapped meta-learning" (arXiv 2109.04504).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxmeta import tree
from jaxmeta.estimators import Estimator, first_order, unrolled
from jaxmeta.objective import adapting
from jaxmeta.types import Inner, Loss, MetaLearner, Model


def bootstrapped(
    model: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    extra: int,
    rate: float,
    estimator: Estimator = unrolled(),
    adapt_only: Callable[[str], bool] = tree.everything,
) -> MetaLearner:
    """Weights adapt to the support set; the meta-loss is their distance from where the query set would take them.

    The target is the adapted weights after `extra` steps of gradient descent on the query loss, held constant. The
    meta-loss is half its squared distance over `rate`, so that extra=1 gives exactly the meta-gradient of `maml` in
    the adapting weights; it says nothing of how well a task is solved. Leaves that do not adapt have a meta-gradient
    only through the adapted ones.

    Args:
      model: the network; params are its weights.
      loss: (outputs, targets) -> [N], used on support and query.
      optimizer: inner optimizer, any differentiable optax transformation.
      steps: inner steps, 0 or more; another number at test time needs no new params.
      extra: steps from the adapted weights to the target, 1 or more; they cost no second derivative.
      rate: rate of these steps, above 0.
      estimator: how the meta-gradient passes through the inner steps.
      adapt_only: path of a leaf ("body/conv_0/kernel") -> whether it adapts; fast has None elsewhere.
    Raises:
      ValueError: when built, extra below 1 or rate not above 0; at trace time, if `adapt_only` selects none or all
        of the leaves.
    Source: Flennerhag et al. 2022, section 3, with the squared distance as matching function. Differs: every step to
      the target is one on the query set.

    >>> learner = bootstrapped(model, cross_entropy, optax.sgd(0.1), steps=5, extra=5, rate=0.1)
    >>> params, state = learner.init(key, support.inputs)
    >>> tree.paths(jax.eval_shape(learner.adapt, params, state, support, key)[0])  # what adapts
    ['body/kernel', 'head/kernel']
    """
    if extra < 1 or not rate > 0:
        raise ValueError(f"bootstrapped needs extra >= 1 and rate > 0, got extra={extra} and rate={rate}.")
    task = adapting(model, loss, adapt_only)
    solve = estimator(Inner(task.loss, lambda params: optimizer, steps))

    def ahead(change, start, state, batch, key):
        fast, params = start
        return task.loss(jax.tree.map(jnp.add, fast, change), params, state, batch, key)

    # The steps move the change alone, so that it keeps the digits that target - fast would lose.
    pull = first_order()(Inner(ahead, lambda start: optax.sgd(rate), extra))

    def adapt(params, state, support, key):
        return solve(task.start(params), params, state, support, key)

    def meta_loss(params, state, episode, key):
        support_key, query_key, state_key = jax.random.split(key, 3)
        fast, _ = adapt(params, state, episode.support, support_key)
        start = jax.lax.stop_gradient((fast, params))
        change, _ = pull(jax.tree.map(jnp.zeros_like, fast), start, state, episode.query, query_key)
        _, state = task.predict(start[1], state, start[0], episode.query.inputs, state_key, True)
        moved = jax.tree.map(jnp.subtract, fast, start[0])  # 0, with the gradient of fast.
        return tree.squared_distance(moved, change) / (2 * rate), state

    return MetaLearner(model.init, adapt, task.predict, meta_loss)
