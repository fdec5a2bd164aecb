"""Few-shot learners of spoken words by name."""

from collections.abc import Callable, Sequence
from typing import Any

import optax
from flax import linen as nn

from jaxmeta import anil, conjugate_gradients, exact, first_order, implicit, maml, protonet
from jaxmeta.estimators import Estimator
from jaxmeta.evaluation.few_shot import Build
from jaxmeta.learners.averaging import averaging
from jaxmeta.learners.boil import boil
from jaxmeta.learners.bootstrapped import bootstrapped
from jaxmeta.learners.cavia import cavia
from jaxmeta.learners.evolved import evolved
from jaxmeta.learners.imaml import imaml
from jaxmeta.learners.maml_plus_plus import maml_plus_plus
from jaxmeta.learners.matching import matching
from jaxmeta.learners.meta_curvature import meta_curvature
from jaxmeta.learners.meta_sgd import meta_sgd
from jaxmeta.learners.progressive import grow, progressive
from jaxmeta.learners.proto_maml import proto_maml
from jaxmeta.learners.r2d2 import r2d2
from jaxmeta.learners.reptile import reptile
from jaxmeta.losses import cross_entropy
from jaxmeta.models.heads import Network, context_of_classes
from jaxmeta.models.linen import from_linen
from jaxmeta.types import MetaLearner, Model
from jaxmeta.words.presets import LearnerName

INNER_RATE = 0.1
"""Of every inner loop of plain steps; that of the fine-tuned baseline, whose choice on validation words it was."""
CONTEXT = 32
"""Numbers of CAVIA's context for each class."""


def learners(network: Network, estimator: Estimator | None) -> dict[LearnerName, Build]:
    """Every learner by name; `estimator` overrides each one's own, where it has an inner loop to differentiate."""
    sgd = optax.sgd(INNER_RATE)
    by_size: dict[str, Any] = {"estimator": estimator or exact()}
    implicitly: dict[str, Any] = {"estimator": estimator or implicit(conjugate_gradients(5))}

    def model(factory: Callable, *arguments, **options) -> Build:
        """A learner of a network with a head: factory(model, loss, *arguments, steps=..., ...)."""
        return lambda ways, steps: factory(network(ways), cross_entropy, *arguments, steps=steps, **options)

    return {
        "maml": model(maml, sgd, **by_size),
        "fomaml": model(maml, sgd, estimator=first_order()),
        "reptile": model(reptile, sgd),
        "anil": model(anil, sgd, **by_size),
        "boil": model(boil, sgd, **by_size),
        "meta_sgd": model(meta_sgd, INNER_RATE, **by_size),
        "maml_plus_plus": model(maml_plus_plus, INNER_RATE, multi_step_updates=50, **by_size),
        "meta_curvature": model(meta_curvature, INNER_RATE, **by_size),
        "bootstrapped": model(bootstrapped, sgd, extra=2, rate=INNER_RATE, **by_size),
        "imaml": model(imaml, sgd, strength=0.5, **implicitly),
        "evolved": lambda ways, steps: evolved(
            maml(network(ways), cross_entropy, sgd, steps, first_order()), sigma=0.01, pairs=4
        ),
        "averaging": lambda ways, steps: averaging(
            maml(network(ways), cross_entropy, sgd, steps, **by_size), members=2
        ),
        "cavia": lambda ways, steps: cavia(
            context_of_classes(network(), ways, CONTEXT),
            cross_entropy,
            optax.sgd(1.0),
            steps,
            ways * CONTEXT,
            **by_size,
        ),
        "progressive": lambda ways, steps: two_columns(
            [network(), from_linen(nn.Dense(ways))], cross_entropy, sgd, steps, **by_size
        ),
        "proto_maml": lambda ways, steps: proto_maml(network(), cross_entropy, sgd, steps, ways, **by_size),
        "protonet": lambda ways, steps: protonet(network(), cross_entropy, ways),
        "matching": lambda ways, steps: matching(network(), cross_entropy, ways),
        "r2d2": lambda ways, steps: r2d2(network(), cross_entropy, ways),
    }


def two_columns(layers: Sequence[Model], *arguments: Any, **options: Any) -> MetaLearner:
    """A progressive network that starts with one frozen column, with weights as its layers draw them.

    Arguments are those of `progressive`; layers of a trained classifier give its weights to the frozen column.
    """
    learner = progressive(layers, *arguments, **options)

    def init(key, inputs):
        params, state = learner.init(key, inputs)
        return grow(layers, params, state, params["new"], inputs, key)

    return learner._replace(init=init)
