"""The learners that the sinusoid experiment compares, each with the inner loop that it is trained with."""

from collections.abc import Callable
from typing import NamedTuple

import optax
from flax import linen as nn

from jaxmeta import MetaLearner, Model, anil, conjugate_gradients, first_order, implicit, maml, unrolled
from jaxmeta.estimators import Estimator
from jaxmeta.learners.averaging import averaging
from jaxmeta.learners.boil import boil
from jaxmeta.learners.bootstrapped import bootstrapped
from jaxmeta.learners.cavia import append_context, cavia
from jaxmeta.learners.evolved import evolved
from jaxmeta.learners.imaml import imaml
from jaxmeta.learners.maml_plus_plus import maml_plus_plus
from jaxmeta.learners.meta_curvature import meta_curvature
from jaxmeta.learners.meta_sgd import meta_sgd
from jaxmeta.learners.progressive import progressive
from jaxmeta.learners.r2d2 import r2d2
from jaxmeta.learners.reptile import reptile
from jaxmeta.losses import squared_error
from jaxmeta.models.linen import from_linen
from jaxmeta.types import Array


class Method(NamedTuple):
    """A learner, and the inner loop that it is trained with unless told otherwise."""

    build: Callable[[float, int, Estimator | None], MetaLearner]
    """(inner rate, steps, estimator or None for its own) -> the learner."""
    steps: int = 1
    rate: float = 0.01
    outer: Callable[[float, int], optax.GradientTransformation] = lambda rate, iterations: optax.adam(rate)
    """(meta rate, iterations) -> the outer optimizer."""


def _cosine(rate: float, iterations: int) -> optax.GradientTransformation:
    """Adam of clipped gradients along a cosine, as MAML++ is trained: unclipped, its five learned rates may explode."""
    schedule = optax.cosine_decay_schedule(rate, iterations, alpha=0.01)
    return optax.chain(optax.clip_by_global_norm(10.0), optax.adam(schedule))


def network(outputs: int | None = 1) -> Model:
    """The 1-40-40-1 network with ReLU, whose last layer is named "head"; None: without it."""
    return from_linen(_Network(outputs))


class _Network(nn.Module):
    outputs: int | None

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        hidden = nn.relu(nn.Dense(40)(inputs))
        hidden = nn.relu(nn.Dense(40)(hidden))
        return hidden if self.outputs is None else nn.Dense(self.outputs, name="head")(hidden)


def _of(factory: Callable, model: Callable[[], Model] = network, **options) -> Callable:
    """factory(model, loss, optimizer, steps, estimator=...) as a `Method.build`."""

    def build(rate: float, steps: int, estimator: Estimator | None) -> MetaLearner:
        own = options | ({"estimator": estimator} if estimator else {})
        return factory(model(), squared_error, optax.sgd(rate), steps, **own)

    return build


def _with_rate(factory: Callable, **options) -> Callable:
    """factory(model, loss, rate, steps, estimator=...) as a `Method.build`, for learners whose rates are learned."""

    def build(rate: float, steps: int, estimator: Estimator | None) -> MetaLearner:
        return factory(network(), squared_error, rate, steps, estimator or unrolled(), **options)

    return build


def _bootstrapped(rate: float, steps: int, estimator: Estimator | None) -> MetaLearner:
    return bootstrapped(network(), squared_error, optax.sgd(rate), steps, 5, rate, estimator or unrolled())


def _evolved(rate: float, steps: int, estimator: Estimator | None) -> MetaLearner:
    return evolved(maml(network(), squared_error, optax.sgd(rate), steps, first_order()), sigma=0.02, pairs=4)


def _averaging(rate: float, steps: int, estimator: Estimator | None) -> MetaLearner:
    member = maml(network(), squared_error, optax.sgd(rate), steps, estimator or unrolled())
    return averaging(member, members=3, space="output")


def _progressive(rate: float, steps: int, estimator: Estimator | None) -> MetaLearner:
    return progressive(_layers(), squared_error, optax.sgd(rate), steps, estimator or unrolled())


def _layers() -> list[Model]:
    """The same network, a Model for each layer."""
    return [from_linen(_Layer(40)), from_linen(_Layer(40)), from_linen(nn.Dense(1))]


class _Layer(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        return nn.relu(nn.Dense(self.outputs)(inputs))


METHODS = {
    "maml": Method(_of(maml)),
    "fomaml": Method(_of(maml, estimator=first_order())),
    "reptile": Method(lambda rate, steps, estimator: reptile(network(), squared_error, optax.sgd(rate), steps), 10),
    "anil": Method(_of(anil)),
    "boil": Method(_of(boil)),
    "meta_sgd": Method(_with_rate(meta_sgd)),
    "maml_plus_plus": Method(_with_rate(maml_plus_plus, multi_step_updates=5000), 5, outer=_cosine),
    "meta_curvature": Method(_with_rate(meta_curvature)),
    "imaml": Method(_of(imaml, strength=10.0, estimator=implicit(conjugate_gradients(5))), 20),
    "cavia": Method(_of(cavia, lambda: append_context(network()), size=5), 1, 1.0),
    "bootstrapped": Method(_bootstrapped),
    "evolved": Method(_evolved),
    "averaging": Method(_averaging),
    "progressive": Method(_progressive),
    "r2d2": Method(lambda rate, steps, estimator: r2d2(network(None), squared_error), 0),
}
"""Every learner that can regress, by name; `fomaml` is `maml` with first-order gradients."""
