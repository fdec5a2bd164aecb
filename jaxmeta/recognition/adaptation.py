"""Adaptation of a recogniser to a voice: of all weights, the head, norms and biases, or low-rank adapters."""

from collections.abc import Callable, Mapping
from typing import Literal

import optax

from jaxmeta import tree
from jaxmeta.estimators import Estimator, forward_only
from jaxmeta.learners.learned_rates import at_learned_rates
from jaxmeta.learners.maml import maml
from jaxmeta.models.low_rank import is_adapter, low_rank, with_adapters
from jaxmeta.sequence_losses import ctc, per_label
from jaxmeta.types import Key, MetaLearner, Model, PyTree

Adaptation = Literal["all", "head", "norms", "low_rank", "learned"]
METHODS: tuple[Adaptation, ...] = ("all", "head", "norms", "low_rank")
"""What any recogniser can adapt; "learned" needs one with the rates of its steps among its params."""
RANK = 4
LOSS = per_label(ctc)


def fine_tuning(
    model: Model, method: str, rate: float, steps: int, estimator: Estimator = forward_only()
) -> MetaLearner:
    """Gradient descent on the transcribed utterances of one voice.

    Args:
      model: a recogniser.
      method: "all" weights; the "head"; "norms", scales and biases wherever they are; "low_rank" adapters of rank 4
        on every matrix; "learned", all weights with the rates of `learned_rates.with_rates`, instead of `rate`.
      rate: of the steps, on the loss in nats a label.
      steps: 0 or more.
      estimator: of the meta-gradient, where the starting point is meta-learned. By default there is none, and steps
        may be traced.
    Returns:
      A learner whose params are what `starting_point` makes of a recogniser's weights.
    Raises:
      ValueError: an unknown method.
    """
    if method == "learned":
        return at_learned_rates(model, LOSS, steps, estimator)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}.")
    if method == "low_rank":
        model = low_rank(model, RANK, tree.everything)
    chosen: Mapping[str, Callable[[str], bool]] = {
        "all": tree.everything, "head": tree.Under("head"), "norms": is_norm_or_bias, "low_rank": is_adapter,
    }  # fmt: skip
    return maml(model, LOSS, optax.sgd(rate), steps, estimator, adapt_only=chosen[method])


def starting_point(method: str, weights: PyTree, key: Key) -> PyTree:
    """A recogniser's weights as the params of `fine_tuning`; the key draws low-rank adapters."""
    return with_adapters(weights, RANK, tree.everything, key) if method == "low_rank" else weights


def is_norm_or_bias(path: str) -> bool:
    """Whether a weight is a bias or the scale of a normalisation."""
    return path.rsplit("/", 1)[-1] in ("bias", "scale", "ahead_bias", "back_bias")
