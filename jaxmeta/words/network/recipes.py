"""Learners of words on the network itself by name, with settings that a program takes as arguments."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp

from jaxmeta.estimators import exact, first_order
from jaxmeta.evaluation.comparison.search import Settings
from jaxmeta.learners.anil import anil
from jaxmeta.learners.maml import maml
from jaxmeta.learners.maml_plus_plus import maml_plus_plus
from jaxmeta.learners.meta_sgd import meta_sgd
from jaxmeta.learners.proto_maml import proto_maml
from jaxmeta.learners.protonet import protonet
from jaxmeta.learners.r2d2 import r2d2
from jaxmeta.losses import cross_entropy
from jaxmeta.models.clip_encoders import residual
from jaxmeta.models.heads import Network, warm
from jaxmeta.types import MetaLearner, Model, PyTree
from jaxmeta.words.embedded.recipes import descent
from jaxmeta.words.network.pooling import FRAMES

BASELINE = "fine-tuned classifier"
STEPS = 3
"""Inner steps that programs hold; a smaller number leaves the last ones without effect."""
WIDTH = 128
Batches = tuple[tuple[int, int, int], ...]


class Recipe(NamedTuple):
    """How a learner is built, and what it trains on."""

    build: Callable[[Network, Settings, int], MetaLearner]
    """(network, settings, ways) -> the learner; settings may be traced, so that a program serves all of them."""
    ways: int = 5
    """Most classes of a training task."""
    batches: Batches = ((1, 5, 4), (5, 5, 4))
    """(shots, queries, tasks) of updates, in turn."""
    closed_form: bool = False
    """Its encoder never adapts, so that a test encodes each recording once."""
    classifier: bool = False
    """Trained on all training words as a classifier, and no meta-learner."""


def word_network(width: int = WIDTH, frames: int = FRAMES) -> Network:
    """The residual network of words, of pooled recordings: 266,000 weights without a head."""
    return partial(residual, width=width, frames=frames)


def recipes() -> dict[str, Recipe]:
    """Learner by name, the baseline first; settings that do not concern a learner are left alone."""
    by_size: dict[str, Any] = {"estimator": exact()}

    def inner(factory: Callable, **options: Any) -> Recipe:
        return Recipe(lambda net, s, ways: factory(net(ways), cross_entropy, descent(s), STEPS, **options))

    def rates(factory: Callable, **options: Any) -> Recipe:
        return Recipe(lambda net, s, ways: factory(net(ways), cross_entropy, s.inner_rate, STEPS, **options))

    def closed(factory: Callable) -> Recipe:
        return Recipe(
            lambda net, s, ways: factory(net(), cross_entropy, ways), 20, ((1, 3, 2), (5, 3, 1)), closed_form=True
        )

    return {
        BASELINE: inner(maml, estimator=first_order())._replace(classifier=True),
        "protonet": closed(protonet),
        "r2d2": closed(r2d2),
        "anil": inner(anil, **by_size),
        "maml": inner(maml, **by_size),
        "maml_plus_plus": rates(maml_plus_plus, multi_step_updates=50, **by_size),
        "meta_sgd": rates(meta_sgd, **by_size),
        "proto_maml": Recipe(
            lambda net, s, ways: proto_maml(net(), cross_entropy, descent(s), STEPS, ways, **by_size)
        ),
    }  # fmt: skip


def started(network: Network, params: PyTree) -> Network:
    """The network whose body starts from a classifier's, with a head of zeros, which favours no class."""
    begun = warm(network, params)

    def start(outputs: int | None = None) -> Model:
        model = begun(outputs)

        def init(key, inputs):
            drawn, state = model.init(key, inputs)
            return (drawn if outputs is None else drawn | {"head": jax.tree.map(jnp.zeros_like, drawn["head"])}), state

        return Model(init, model.apply)

    return start
