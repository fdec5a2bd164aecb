"""What is minimised: the loss of a model on a batch, and the loss of a learner on an episode."""

from collections.abc import Callable

import jax

from jaxmeta.losses import weighted_mean
from jaxmeta.types import Array, Batch, Episode, Key, Loss, Model, PyTree


def supervised(model: Model, loss: Loss) -> Callable[..., tuple[Array, PyTree]]:
    """The mean loss of a model over a batch: (params, state, batch, key) -> (scalar, state)."""

    def objective(params: PyTree, state: PyTree, batch: Batch, key: Key) -> tuple[Array, PyTree]:
        outputs, state = model.apply(params, state, batch.inputs, key, True)
        return weighted_mean(loss(outputs, batch.targets), batch.weight), state

    return objective


def after_adaptation(adapt: Callable, predict: Callable, loss: Loss) -> Callable[..., tuple[Array, PyTree]]:
    """The mean loss on the query set after adapting to the support set.

    Returns:
      meta_loss: (params, state, episode, key) -> (scalar, state). The state is that of the query pass.
    Source: Finn et al. 2017 (arXiv 1703.03400), the summand of eq. 1.
    """

    def meta_loss(params: PyTree, state: PyTree, episode: Episode, key: Key) -> tuple[Array, PyTree]:
        support_key, query_key = jax.random.split(key)
        fast, _ = adapt(params, state, episode.support, support_key)
        outputs, state = predict(params, state, fast, episode.query.inputs, query_key, True)
        return weighted_mean(loss(outputs, episode.query.targets), episode.query.weight), state

    return meta_loss
