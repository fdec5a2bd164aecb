"""iMAML: learn the initial weights that adaptation is pulled to, by the gradient of the adapted solution.

Rajeswaran, Finn, Kakade and Levine 2019, "Meta-learning with implicit gradients" (arXiv 1909.04630).
"""

from collections.abc import Callable

import optax

from jaxmeta import tree
from jaxmeta.estimators import Estimator, conjugate_gradients, implicit
from jaxmeta.objective import adapting, after_adaptation
from jaxmeta.types import Inner, Loss, MetaLearner, Model


def imaml(
    model: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    strength: float,
    estimator: Estimator = implicit(conjugate_gradients()),
    adapt_only: Callable[[str], bool] = tree.everything,
) -> MetaLearner:
    """Weights adapt by gradient descent on the support loss plus strength / 2 times the squared distance they go.

    The meta-gradient is right where that descent has converged: take steps until `info["residual"]` of `adapt` is
    small. It does not depend on the path there, so that more steps cost time but no memory.
    Args:
      model: the network; params are its weights.
      loss: (outputs, targets) -> [N], used on support and query.
      optimizer: inner optimizer, any optax transformation; it need not be differentiable.
      steps: inner steps, 0 or more; another number at test time needs no new params.
      strength: pull to the initial weights, above 0 (lambda in the paper); a weak one leaves more to learn from the
        support set, and more iterations to the solver.
      estimator: how the meta-gradient passes through the steps; `unrolled()` differentiates the same descent.
      adapt_only: path of a leaf ("body/conv_0/kernel") -> whether it adapts; fast has None elsewhere.
    Raises:
      ValueError: a strength of 0 or less; at trace time, if `adapt_only` selects none or all of the leaves.
    Source: Rajeswaran et al. 2019, algorithms 1 and 2. Differs: as in the paper but unlike its published code, the
      solver sees I + H / strength and no further damping.

    >>> learner = imaml(model, cross_entropy, optax.sgd(0.1), steps=5, strength=2.0)
    >>> params, state = learner.init(key, support.inputs)
    >>> tree.paths(jax.eval_shape(learner.adapt, params, state, support, key)[0])  # what adapts
    ['body/kernel', 'head/kernel']
    """
    if not strength > 0:
        raise ValueError(f"strength must be above 0, got {strength}; use maml for adaptation without a pull.")
    task = adapting(model, loss, adapt_only)
    solve = estimator(Inner(task.loss, lambda params: optimizer, steps, proximal=strength))

    def adapt(params, state, support, key):
        return solve(task.start(params), params, state, support, key)

    return MetaLearner(model.init, adapt, task.predict, after_adaptation(adapt, task.predict, loss))
