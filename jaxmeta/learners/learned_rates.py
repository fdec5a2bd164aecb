"""Rates that were meta-learned as a part of the params, so that a file of weights says how they adapt.

Li, Zhou, Chen and Li 2017, "Meta-SGD" (arXiv 1707.09835), with a rate for each weight or for each leaf.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxmeta import tree
from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.learners.meta_sgd import meta_sgd
from jaxmeta.types import Loss, MetaLearner, Model, PyTree

Rates = Literal["none", "layer", "weight"]
RATE = "rate"
"""Name of the rates among the params."""
LEARNING_RATES = ("meta_sgd", "meta_curvature", "maml_plus_plus")
"""Learners whose rates are learned for as many steps as they are trained with."""


def with_rates(model: Model, rates: Rates) -> Model:
    """The model with rates for adaptation among its params, which its outputs do not depend on.

    Args:
      model: whose params are a dict without "rate".
      rates: one for each "weight", or one for each leaf, which is a "layer"; "none" gives the model itself.
    Raises:
      ValueError: other rates.
    """
    if rates == "none":
        return model
    if rates not in ("layer", "weight"):
        raise ValueError(f"rates={rates!r} must be 'none', 'layer' or 'weight'.")

    def init(key, inputs):
        weights, state = model.init(key, inputs)
        return weights | {RATE: new_rates(weights, rates, 0.0)}, state

    def apply(params, state, inputs, key, train):
        return model.apply(without_rates(params), state, inputs, key, train)

    return Model(init, apply)


def new_rates(weights: PyTree, rates: Rates, rate: float) -> PyTree:
    """Rates of one value for weights, in the form that `with_rates` has."""
    return jax.tree.map(lambda leaf: jnp.full(leaf.shape if rates == "weight" else (), rate, leaf.dtype), weights)


def without_rates(params: PyTree) -> PyTree:
    """The weights alone.

    >>> without_rates({"head": 1, "rate": {"head": 2}})
    {'head': 1}
    """
    return {name: leaf for name, leaf in params.items() if name != RATE}


def at_learned_rates(
    model: Model,
    loss: Loss,
    steps: int,
    estimator: Estimator = unrolled(),
    adapt_only: Callable[[str], bool] = tree.everything,
) -> MetaLearner:
    """Meta-SGD of a model of `with_rates`: weights adapt, each at its rate, and both are meta-learned.

    Args:
      model: as `with_rates` makes it.
      loss, steps, estimator, adapt_only: as in `meta_sgd`; weights that do not adapt have None for a rate.
    """
    learner = meta_sgd(model, loss, 0.0, steps, estimator, adapt_only)

    def parted(params: PyTree) -> PyTree:
        return {"weights": without_rates(params), "rate": params[RATE]}

    def adapt(params, state, support, key):
        fast, info = learner.adapt(parted(params), state, support, key)
        return fast | {RATE: None}, info

    def predict(params, state, fast, inputs, key, train):
        return learner.predict(parted(params), state, without_rates(fast), inputs, key, train)

    def meta_loss(params, state, episode, key):
        return learner.meta_loss(parted(params), state, episode, key)

    return MetaLearner(model.init, adapt, predict, meta_loss)


def remark_on_steps(learner: str, trained: int, tested: Iterable[int]) -> str | None:
    """What to know where a learner is tested with more steps than its rates were learned for; None where there is none.

    Rates that are best for one step may be too high for a second one: a descent converges on a task only at rates
    below 2 over its curvature, and a single step on most tasks gains from higher ones.

    >>> remark_on_steps("meta_sgd", 5, (1, 5)) is None
    True
    """
    more = sorted({steps for steps in tested if steps > trained})
    if learner not in LEARNING_RATES or not more:
        return None
    return (
        f"{learner} learned its rates for {trained} inner steps, and {', '.join(map(str, more))} may diverge; train it "
        f"with steps={more[-1]} for these"
    )
