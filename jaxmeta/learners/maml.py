"""MAML: learn the initial weights from which a few gradient steps adapt to a task.

Finn, Abbeel and Levine 2017, "Model-agnostic meta-learning for fast adaptation of deep networks" (arXiv 1703.03400).
"""

import optax

from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.objective import after_adaptation, supervised
from jaxmeta.types import Inner, Loss, MetaLearner, Model


def maml(
    model: Model, loss: Loss, optimizer: optax.GradientTransformation, steps: int, estimator: Estimator = unrolled()
) -> MetaLearner:
    """All weights adapt by gradient descent on the support loss; their initial values are meta-learned.

    Args:
      model: the network; params are its weights, and so is fast.
      loss: (outputs, targets) -> [N], used on support and query.
      optimizer: inner optimizer, any differentiable optax transformation.
      steps: inner steps, 0 or more; another number at test time needs no new params.
      estimator: how the meta-gradient passes through the steps; `first_order()` makes this FOMAML.
    Source: Finn et al. 2017, algorithm 2.
    """
    objective = supervised(model, loss)
    inner = Inner(
        loss=lambda fast, params, state, batch, key: objective(fast, state, batch, key),
        optimizer=lambda params: optimizer,
        steps=steps,
    )
    solve = estimator(inner)

    def adapt(params, state, support, key):
        return solve(params, params, state, support, key)

    def predict(params, state, fast, inputs, key, train):
        return model.apply(fast, state, inputs, key, train)

    return MetaLearner(model.init, adapt, predict, after_adaptation(adapt, predict, loss))
