"""What the recognition experiments compare: ways to adapt one trained recogniser to a speaker, on one protocol."""

from collections.abc import Callable, Mapping
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
    maml,
    meta_sgd,
    mixed_mode,
    reptile,
    unlabelled,
)
from jaxmeta.models.acoustic import Encoder, Size, recogniser
from jaxmeta.recognition.adaptation import LOSS, fine_tuning, is_norm_or_bias, starting_point
from jaxmeta.sequence_losses import confidence
from jaxmeta.types import PyTree

CONTEXT = 32
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Of inner steps, on a loss in nats a label."""


class Method(NamedTuple):
    """A way to adapt."""

    learner: Callable[[float, int], MetaLearner]
    """(rate, steps) -> the learner that adapts."""
    start: Callable[[PyTree, float], PyTree]
    """(weights of the plainly trained recogniser, rate) -> params of the learner, before any meta-training."""
    meta_trained: bool = False
    labels: bool = True
    """Whether it needs transcripts."""
    scale: float | None = 1.0
    """Of the rates of inner steps; None: they are meta-learned."""

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
            lambda rate, steps: fine_tuning(model, name, rate, steps),
            lambda weights, rate: starting_point(name, weights, jax.random.key(0)),
        )

    def meta(factory: Callable[..., MetaLearner], **options) -> Method:
        return Method(lambda rate, steps: factory(model, LOSS, optax.sgd(rate), steps, **options), _same, True)

    return {
        **{f"fine-tune {name}": tuned(name) for name in ("all", "head", "norms", "low_rank")},
        "speaker average": tuned("all"),
        "maml": meta(maml, estimator=exact),
        "fomaml": meta(maml, estimator=first_order()),
        "reptile": meta(reptile),
        "anil": meta(anil, estimator=exact),
        "boil": meta(boil, estimator=exact),
        "meta_sgd": Method(
            lambda rate, steps: meta_sgd(model, LOSS, rate, steps, exact),
            lambda weights, rate: {"weights": weights, "rate": jax.tree.map(lambda w: jnp.full_like(w, rate), weights)},
            True, scale=None,
        ),
        "cavia": Method(
            lambda rate, steps: cavia(spoken_to, LOSS, optax.sgd(rate), steps, CONTEXT, exact), _with_context, True,
            scale=100.0,
        ),
        "test time": Method(
            lambda rate, steps: unlabelled(
                model, LOSS, confidence(), optax.sgd(rate), steps, first_order(), is_norm_or_bias
            ),
            _same,
            labels=False,
        ),
    }  # fmt: skip


def _same(weights: PyTree, rate: float) -> PyTree:
    return weights


def _with_context(weights: PyTree, rate: float) -> PyTree:
    """The weights and a random map from the context, which starts at zero, to the encoder's input."""
    width = weights["front"]["Dense_0"]["bias"].shape[0]
    return weights | {"context": {"kernel": jax.random.normal(jax.random.key(0), (CONTEXT, width)) / CONTEXT**0.5}}
