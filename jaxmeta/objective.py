"""What is minimised: the loss of a model on a batch, and the loss of a learner on an episode."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from jaxmeta import tree
from jaxmeta.losses import weighted_mean
from jaxmeta.types import Array, Batch, Episode, Key, Loss, Model, PyTree


def supervised(model: Model, loss: Loss) -> Callable[..., tuple[Array, PyTree]]:
    """The mean loss of a model over a batch: (params, state, batch, key) -> (scalar, state)."""

    def objective(params: PyTree, state: PyTree, batch: Batch, key: Key) -> tuple[Array, PyTree]:
        outputs, state = model.apply(params, state, batch.inputs, key, True)
        return weighted_mean(loss(outputs, batch.targets), batch.weight), state

    return objective


class Adapting(NamedTuple):
    """A model of which some leaves adapt: fast holds those, with None in the place of the others."""

    start: Callable[[PyTree], PyTree]
    """params -> fast, the adapting leaves as they are in params."""
    loss: Callable[..., tuple[Array, PyTree]]
    """(fast, params, state, batch, key) -> (scalar, state): an `Inner.loss`."""
    predict: Callable[..., tuple[PyTree, PyTree]]
    """(params, state, fast, inputs, key, train) -> (outputs, state)."""


def adapting(model: Model, loss: Loss, adapt_only: Callable[[str], bool] = tree.everything) -> Adapting:
    """Which leaves adapt is a predicate on their paths, and nothing that a learner need know.

    Args:
      model: the network.
      loss: (outputs, targets) -> [N].
      adapt_only: path of a leaf ("body/conv_0/kernel") -> whether it adapts.
    Raises:
      ValueError: at trace time, if a predicate other than `tree.everything` selects no leaf or every leaf.
    """
    objective = supervised(model, loss)

    def split(params: PyTree) -> tuple[PyTree, PyTree]:
        fast, rest = tree.partition(params, adapt_only)
        if adapt_only is not tree.everything and not (jax.tree.leaves(fast) and jax.tree.leaves(rest)):
            raise ValueError(
                f"adapt_only={adapt_only} must select some but not all of the params; their paths are "
                f"{tree.paths(params)}."
            )
        return fast, rest

    def join(fast: PyTree, params: PyTree) -> PyTree:
        return tree.merge(fast, split(params)[1])

    return Adapting(
        start=lambda params: split(params)[0],
        loss=lambda fast, params, state, batch, key: objective(join(fast, params), state, batch, key),
        predict=lambda params, state, fast, inputs, key, train: model.apply(
            join(fast, params), state, inputs, key, train
        ),
    )


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
