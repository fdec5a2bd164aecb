"""Meta-SGD: learn the rate of every weight, and so the direction of the inner step, along with the initial weights.

Li, Zhou, Chen and Li 2017, "Meta-SGD: learning to learn quickly for few-shot learning" (arXiv 1707.09835).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmeta import tree
from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.objective import adapting, after_adaptation
from jaxmeta.optimizers import descent
from jaxmeta.types import Inner, Loss, MetaLearner, Model


def meta_sgd(
    model: Model,
    loss: Loss,
    rate: float,
    steps: int = 1,
    estimator: Estimator = unrolled(),
    adapt_only: Callable[[str], bool] = tree.everything,
) -> MetaLearner:
    """Weights adapt by gradient descent with a rate for each of them; initial weights and rates are meta-learned.

    Args:
      model: the network; params are {"weights": its weights, "rate": the same shapes, where a weight adapts}.
      loss: (outputs, targets) -> [N], used on support and query.
      rate: where every rate starts; as they are learned they may change sign.
      steps: inner steps, 0 or more, all with the same rates; another number at test time needs no new params.
      estimator: how the meta-gradient passes through the steps; the rates are learned under `first_order()` too.
      adapt_only: path of a weight ("body/conv_0/kernel") -> whether it adapts; fast has None elsewhere.
    Raises:
      ValueError: at trace time, if `adapt_only` selects none or all of the weights.
    Source: Li et al. 2017, algorithm 1. Differs: rates start at one value, not at random; any number of steps where
      the paper takes one.

    >>> learner = meta_sgd(model, cross_entropy, rate=0.1, steps=5)
    >>> params, state = learner.init(key, support.inputs)
    >>> tree.paths(jax.eval_shape(learner.adapt, params, state, support, key)[0])  # what adapts
    ['body/kernel', 'head/kernel']
    """
    task = adapting(model, loss, adapt_only)

    def objective(fast, params, state, batch, key):
        return task.loss(fast, params["weights"], state, batch, key)

    solve = estimator(Inner(objective, lambda params: descent(params["rate"]), steps))

    def init(key, inputs):
        weights, state = model.init(key, inputs)
        return {"weights": weights, "rate": jax.tree.map(lambda w: jnp.full_like(w, rate), task.start(weights))}, state

    def adapt(params, state, support, key):
        return solve(task.start(params["weights"]), params, state, support, key)

    def predict(params, state, fast, inputs, key, train):
        return task.predict(params["weights"], state, fast, inputs, key, train)

    return MetaLearner(init, adapt, predict, after_adaptation(adapt, predict, loss))
