"""MAML: learn the initial weights from which a few gradient steps adapt to a task.

Finn, Abbeel and Levine 2017, "Model-agnostic meta-learning for fast adaptation of deep networks" (arXiv 1703.03400).
"""

from collections.abc import Callable

import optax

from jaxmeta import tree
from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.objective import adapting, after_adaptation
from jaxmeta.types import Inner, Loss, MetaLearner, Model


def maml(
    model: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    estimator: Estimator = unrolled(),
    adapt_only: Callable[[str], bool] = tree.everything,
) -> MetaLearner:
    """Weights adapt by gradient descent on the support loss; their initial values are meta-learned.

    Args:
      model: the network; params are its weights.
      loss: (outputs, targets) -> [N], used on support and query.
      optimizer: inner optimizer, any differentiable optax transformation.
      steps: inner steps, 0 or more; another number at test time needs no new params.
      estimator: how the meta-gradient passes through the steps; `first_order()` makes this FOMAML.
      adapt_only: path of a leaf ("body/conv_0/kernel") -> whether it adapts; fast has None elsewhere.
    Raises:
      ValueError: at trace time, if `adapt_only` selects none or all of the leaves.
    Source: Finn et al. 2017, algorithm 2.

    >>> learner = maml(model, cross_entropy, optax.sgd(0.1), steps=5)
    >>> params, state = learner.init(key, support.inputs)
    >>> tree.paths(jax.eval_shape(learner.adapt, params, state, support, key)[0])  # what adapts
    ['body/kernel', 'head/kernel']
    """
    task = adapting(model, loss, adapt_only)
    solve = estimator(Inner(task.loss, lambda params: optimizer, steps))

    def adapt(params, state, support, key):
        return solve(task.start(params), params, state, support, key)

    return MetaLearner(model.init, adapt, task.predict, after_adaptation(adapt, task.predict, loss))
