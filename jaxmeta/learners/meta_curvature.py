"""Meta-curvature: learn the matrices that turn the gradient of each weight before the inner step.

Park and Oliva 2019, "Meta-curvature" (NeurIPS; arXiv 1902.03356).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxmeta import tree
from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.objective import adapting, after_adaptation
from jaxmeta.types import Array, Inner, Loss, MetaLearner, Model


def meta_curvature(
    model: Model,
    loss: Loss,
    rate: float,
    steps: int,
    estimator: Estimator = unrolled(),
    adapt_only: Callable[[str], bool] = tree.everything,
    limit: int = 1024,
) -> MetaLearner:
    """Weights adapt along their gradient times a learned matrix on each of its axes; all of it is meta-learned.

    Args:
      model: the network; params are {"weights": its weights, "curvature": for each weight that adapts one matrix
        [d, d] for each of its axes, the identity at the start}. A scalar has one axis, of length 1.
      loss: (outputs, targets) -> [N], used on support and query.
      rate: inner rate, which multiplies the turned gradient.
      steps: inner steps, 0 or more, all with the same matrices; another number at test time needs no new params.
      estimator: how the meta-gradient passes through the steps; the matrices are learned under `first_order()` too.
      adapt_only: path of a weight ("body/conv_0/kernel") -> whether it adapts; fast has None elsewhere.
      limit: longest axis that has a matrix, as memory grows with its square; longer ones keep the identity.
    Raises:
      ValueError: at trace time, if `adapt_only` selects none or all of the weights.
    Source: Park and Oliva 2019, section 3. Differs: height and width of a convolution have a matrix each, not one
      together; so has a bias, which elsewhere has one number for each entry.

    >>> learner = meta_curvature(model, cross_entropy, rate=0.1, steps=5)
    >>> params, state = learner.init(key, support.inputs)
    >>> tree.paths(jax.eval_shape(learner.adapt, params, state, support, key)[0])  # what adapts
    ['body/kernel', 'head/kernel']
    """
    task = adapting(model, loss, adapt_only)

    def objective(fast, params, state, batch, key):
        return task.loss(fast, params["weights"], state, batch, key)

    solve = estimator(Inner(objective, lambda params: _descent(rate, params["curvature"]), steps))

    def init(key, inputs):
        weights, state = model.init(key, inputs)
        return {"weights": weights, "curvature": jax.tree.map(identities, task.start(weights))}, state

    def identities(leaf):
        return tuple(jnp.eye(d, dtype=leaf.dtype) if d <= limit else None for d in leaf.shape or (1,))

    def adapt(params, state, support, key):
        return solve(task.start(params["weights"]), params, state, support, key)

    def predict(params, state, fast, inputs, key, train):
        return task.predict(params["weights"], state, fast, inputs, key, train)

    return MetaLearner(init, adapt, predict, after_adaptation(adapt, predict, loss))


def _descent(rate, curvature):
    """Gradient descent along turned gradients."""
    turn = lambda gradient, matrices: -rate * _turned(gradient, matrices)  # noqa: E731
    return optax.stateless(lambda gradients, _: jax.tree.map(turn, gradients, curvature))


def _turned(gradient: Array, matrices: tuple) -> Array:
    """Multiply a tensor along each axis by a matrix [d, d]; None stands for the identity."""
    turned = gradient.reshape(gradient.shape or (1,))
    for axis, matrix in enumerate(matrices):
        if matrix is not None:
            turned = jnp.moveaxis(jnp.tensordot(matrix, turned, axes=(1, axis)), 0, axis)
    return turned.reshape(gradient.shape)
