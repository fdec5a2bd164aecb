"""BOIL: only the body adapts; the head is meta-learned and stays as it is in every task.

Oh, Yoo, Kim and Yun 2021, "BOIL: towards representation change for few-shot learning" (arXiv 2008.08882).
"""

import optax

from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.learners.maml import maml
from jaxmeta.tree import Outside
from jaxmeta.types import Loss, MetaLearner, Model


def boil(
    model: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    estimator: Estimator = unrolled(),
    head: str = "head",
) -> MetaLearner:
    """The leaves outside `head` adapt by gradient descent on the support loss; all initial values are meta-learned.

    Args:
      model, loss, optimizer, steps, estimator: as in `maml`.
      head: name of one component of the paths of the leaves that stay, as in "head/kernel".
    Raises:
      ValueError: at trace time, if no leaf lies under `head`, or every one does.
    Source: Oh et al. 2021, eq. 2.

    >>> learner = boil(model, cross_entropy, optax.sgd(0.1), steps=5)
    >>> params, state = learner.init(key, support.inputs)
    >>> tree.paths(jax.eval_shape(learner.adapt, params, state, support, key)[0])  # what adapts
    ['body/kernel']
    """
    return maml(model, loss, optimizer, steps, estimator, adapt_only=Outside(head))
