"""ANIL: only the head adapts; the body is meta-learned and shared by every task.

Raghu, Raghu, Bengio and Vinyals 2020, "Rapid learning or feature reuse?" (arXiv 1909.09157).
"""

import jax
import optax

from jaxmeta import tree
from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.objective import after_adaptation, supervised
from jaxmeta.types import Inner, Loss, MetaLearner, Model


def anil(
    model: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    estimator: Estimator = unrolled(),
    head: str = "head",
) -> MetaLearner:
    """The leaves under `head` adapt by gradient descent on the support loss; all initial values are meta-learned.

    Args:
      model: the network; params are its weights, fast those under `head` (None elsewhere).
      loss: (outputs, targets) -> [N], used on support and query.
      optimizer: inner optimizer, any differentiable optax transformation.
      steps: inner steps, 0 or more.
      estimator: how the meta-gradient passes through the steps.
      head: name of one component of the adapted leaves' paths, as in "head/kernel".
    Raises:
      ValueError: at trace time, if no leaf lies under `head`, or every one does.
    Source: Raghu et al. 2020, section 4.1.
    """
    objective = supervised(model, loss)
    inner = Inner(
        loss=lambda fast, params, state, batch, key: objective(_join(fast, params, head), state, batch, key),
        optimizer=lambda params: optimizer,
        steps=steps,
    )
    solve = estimator(inner)

    def adapt(params, state, support, key):
        fast, _ = _split(params, head)
        return solve(fast, params, state, support, key)

    def predict(params, state, fast, inputs, key, train):
        return model.apply(_join(fast, params, head), state, inputs, key, train)

    return MetaLearner(model.init, adapt, predict, after_adaptation(adapt, predict, loss))


def _split(params, head):
    fast, body = tree.partition(params, lambda path: head in path.split("/"))
    if not (jax.tree.leaves(fast) and jax.tree.leaves(body)):
        raise ValueError(
            f"head={head!r} must name some but not all of the params; their paths are {tree.paths(params)}."
        )
    return fast, body


def _join(fast, params, head):
    return tree.merge(fast, _split(params, head)[1])
