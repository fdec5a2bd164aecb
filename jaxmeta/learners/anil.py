"""ANIL: only the head adapts; the body is meta-learned and shared by every task.

Raghu, Raghu, Bengio and Vinyals 2020, "Rapid learning or feature reuse?" (arXiv 1909.09157).
"""

import optax

from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.learners.maml import maml
from jaxmeta.tree import Under
from jaxmeta.types import Loss, MetaLearner, Model


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
      model, loss, optimizer, steps, estimator: as in `maml`.
      head: name of one component of the adapted leaves' paths, as in "head/kernel".
    Raises:
      ValueError: at trace time, if no leaf lies under `head`, or every one does.
    Source: Raghu et al. 2020, section 4.1.

    >>> learner = anil(model, cross_entropy, optax.sgd(0.1), steps=5)
    >>> params, state = learner.init(key, support.inputs)
    >>> tree.paths(jax.eval_shape(learner.adapt, params, state, support, key)[0])  # what adapts
    ['head/kernel']
    """
    return maml(model, loss, optimizer, steps, estimator, adapt_only=Under(head))
