"""What the recognition experiments compare: ways to adapt one trained recogniser to a speaker, on one protocol."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import optax
from jax import numpy as jnp

from jaxmeta import (
    MetaLearner,
    anil,
    boil,
    cavia,
    first_order,
    forward_only,
    maml,
    meta_sgd,
    mixed_mode,
    reptile,
    unlabelled,
)
from jaxmeta.estimators import Estimator
from jaxmeta.models.acoustic import Encoder, Size, recogniser
from jaxmeta.recognition.adaptation import LOSS, fine_tuning, is_norm_or_bias, starting_point
from jaxmeta.sequence_losses import confidence
from jaxmeta.types import PyTree

CONTEXT = 32
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Of inner steps, on a loss in nats a label."""


class Method(NamedTuple):
    """A way to adapt."""

    build: Callable[[float, int], MetaLearner]
    """(rate, steps) -> the learner that adapts; both may be traced, as its estimator is `forward_only()`."""
    start: Callable[[PyTree, float], PyTree]
    """(weights of the plainly trained recogniser, rate) -> params of the learner, before any meta-training."""
    meta: Callable[[float, int], MetaLearner] | None = None
    """(rate, steps) -> the learner that is meta-trained; None: none is."""
    labels: bool = True
    """Whether it needs transcripts."""
    scale: float | None = 1.0
    """Of the rates of inner steps; None: they are meta-learned."""
    average: bool = False
    """Whether it starts at the average of the weights that adapted to some training speakers."""

    def grid(self, inner_rate: float) -> tuple[float, ...]:
        """The rates to choose from on validation speakers."""
        return (inner_rate,) if self.scale is None else tuple(self.scale * rate for rate in RATES)


def methods(classes: int, encoder: Encoder, size: Size) -> Mapping[str, Method]:
    """Every method by name; those that are not meta-trained start at the plainly trained weights themselves."""
    model = recogniser(classes, encoder, size)
    spoken_to = recogniser(classes, encoder, size, context=CONTEXT)
    exact = mixed_mode()

    def tuned(name: str) -> Method:
        return Method(
            partial(fine_tuning, model, name), lambda weights, rate: starting_point(name, weights, jax.random.key(0))
        )

    def family(factory: Callable[..., MetaLearner], adapts: Callable[..., MetaLearner] = maml, **options) -> Method:
        """Meta-trained by `factory`; with a new speaker what `adapts` does."""
        return Method(
            lambda rate, steps: adapts(model, LOSS, optax.sgd(rate), steps, forward_only()),
            lambda weights, rate: weights,
            lambda rate, steps: factory(model, LOSS, optax.sgd(rate), steps, **options),
        )

    def sgd_with_learned_rates(estimator: Estimator) -> Callable[[float, int], MetaLearner]:
        return lambda rate, steps: meta_sgd(model, LOSS, rate, steps, estimator)

    def speaker_vector(estimator: Estimator) -> Callable[[float, int], MetaLearner]:
        return lambda rate, steps: cavia(spoken_to, LOSS, optax.sgd(rate), steps, CONTEXT, estimator)

    return {
        **{f"fine-tune {name}": tuned(name) for name in ("all", "head", "norms", "low_rank")},
        "speaker average": tuned("all")._replace(average=True),
        "maml": family(maml, estimator=exact),
        "fomaml": family(maml, estimator=first_order()),
        "reptile": family(reptile),
        "anil": family(anil, anil, estimator=exact),
        "boil": family(boil, boil, estimator=exact),
        "meta_sgd": Method(
            sgd_with_learned_rates(forward_only()),
            lambda weights, rate: {"weights": weights, "rate": jax.tree.map(lambda w: jnp.full_like(w, rate), weights)},
            sgd_with_learned_rates(exact), scale=None,
        ),
        "cavia": Method(speaker_vector(forward_only()), _with_context, speaker_vector(exact), scale=100.0),
        "test time": Method(
            lambda rate, steps: unlabelled(
                model, LOSS, confidence(), optax.sgd(rate), steps, forward_only(), is_norm_or_bias
            ),
            lambda weights, rate: weights,
            labels=False,
        ),
    }  # fmt: skip


def _with_context(weights: PyTree, rate: float) -> PyTree:
    """The weights and a random map from the context, which starts at zero, to the encoder's input."""
    width = weights["front"]["Dense_0"]["bias"].shape[0]
    return weights | {"context": {"kernel": jax.random.normal(jax.random.key(0), (CONTEXT, width)) / CONTEXT**0.5}}
