"""Adaptation to inputs without labels, at test time: what adapts minimises a signal of the model's own outputs.

Wang et al. 2021, "Tent: fully test-time adaptation by entropy minimization" (arXiv 2006.10726); for speech Lin, Li and
Lee 2022, "Listen, adapt, better WER" (arXiv 2203.14222).
"""

from collections.abc import Callable

import jax
import optax

from jaxmeta import tree
from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.objective import adapting, after_adaptation
from jaxmeta.types import Inner, Loss, MetaLearner, Model


def unlabelled(
    model: Model,
    loss: Loss,
    signal: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    estimator: Estimator = unrolled(),
    adapt_only: Callable[[str], bool] = tree.everything,
) -> MetaLearner:
    """Weights adapt by descending a signal that needs no labels; the loss with labels is met on the query set alone.

    Initial weights may come from plain training, or be meta-learned so that the signal leads where labels would.
    Args:
      model: the network; params are its weights.
      loss: (outputs, targets) -> [N], used on the query.
      signal: (outputs, anything) -> [N], used on the support, such as `sequence_losses.confidence`.
      optimizer, steps, estimator, adapt_only: as in `maml`.
    Raises:
      ValueError: at trace time, if `adapt_only` selects none or all of the leaves.
    Source: Wang et al. 2021, section 3.
    """
    task = adapting(model, signal, adapt_only)
    solve = estimator(Inner(task.loss, lambda params: optimizer, steps))

    def adapt(params, state, support, key):
        return solve(task.start(params), params, state, support, key)

    return MetaLearner(model.init, adapt, task.predict, after_adaptation(adapt, task.predict, loss))


def each_utterance(learner: MetaLearner) -> MetaLearner:
    """A learner that adapts to every utterance by itself, and predicts each from what adapted to it.

    Its support set must be what it predicts: fast is one for each row [N, ...]. For the test only; `meta_loss` is that
    of the learner.
    """

    def adapt(params, state, support, key):
        return jax.vmap(lambda batch: learner.adapt(params, state, batch, key))(_rows(support))

    def predict(params, state, fast, inputs, key, train):
        def predict_row(own, row):
            return learner.predict(params, state, own, row, key, train)[0]

        return jax.tree.map(lambda leaf: leaf[:, 0], jax.vmap(predict_row)(fast, _rows(inputs))), state

    return learner._replace(adapt=adapt, predict=predict)


def _rows(batch):
    """Leaves [N, ...] as N batches of one row, [N, 1, ...]."""
    return jax.tree.map(lambda leaf: leaf[:, None], batch)
