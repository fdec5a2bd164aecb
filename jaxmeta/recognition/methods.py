"""Ways to adapt a trained recogniser to a speaker, by gradient steps from weights as they are or meta-trained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.estimators import Estimator
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.learners.unlabelled import each_utterance
from jaxmeta.models.acoustic import Encoder, Size, recogniser
from jaxmeta.recognition.adaptation import LOSS, METHODS, Adaptation, fine_tuning, is_norm_or_bias, starting_point
from jaxmeta.recognition.presets import MetaTraining
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.recognition.training import augmentation, average_of_speakers, speaker_tasks
from jaxmeta.sequence_losses import confidence
from jaxmeta.training.fit import Augment, fit
from jaxmeta.types import PyTree

CONTEXT = 32
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Of inner steps, on a loss in nats a label."""


class AdaptationMethod(NamedTuple):
    """A way to adapt a recogniser to a speaker."""

    build: Callable[[float, int], MetaLearner]
    """(rate, steps) -> the learner that adapts; both may be traced, as its estimator is `forward_only()`."""
    start: Callable[[PyTree, float], PyTree]
    """(weights of a trained recogniser, rate) -> params of the learner, before any meta-training."""
    meta: Callable[[float, int], MetaLearner] | None = None
    """(rate, steps) -> the learner that is meta-trained; None: none is."""
    labels: bool = True
    """Whether it needs transcripts."""
    scale: float | None = 1.0
    """Of the rates of inner steps; None: they are meta-learned."""
    average: bool = False
    """Whether it starts at the average of the weights that adapted to some training speakers."""
    adapts: Adaptation | None = None
    """What of a recogniser it adapts; None: a recogniser's card has no name for that."""
    updates: int = 1
    """Of meta-training, for each of other methods."""

    def grid(self, inner_rate: float) -> tuple[float, ...]:
        """The rates to choose from on validation speakers."""
        return (inner_rate,) if self.scale is None else tuple(self.scale * rate for rate in RATES)


def adaptation_methods(classes: int, encoder: Encoder, size: str | Size) -> Mapping[str, AdaptationMethod]:
    """Every method by name; those that are not meta-trained start at the trained weights themselves.

    Args:
      classes, encoder, size: of the network, as in `models.acoustic.recogniser`.
    """
    model = recogniser(classes, encoder, size)
    for_speaker = recogniser(classes, encoder, size, context=CONTEXT)
    exact = mixed_mode()

    def tuned(name: Adaptation) -> AdaptationMethod:
        return AdaptationMethod(
            partial(fine_tuning, model, name), lambda weights, rate: starting_point(name, weights, jax.random.key(0)),
            adapts=None if name == "low_rank" else name,
        )  # fmt: skip

    def family(
        factory: Callable[..., MetaLearner], adapts: Callable[..., MetaLearner] = maml, **options: Any
    ) -> AdaptationMethod:
        """Meta-trained by `factory`; with a new speaker what `adapts` does."""
        return AdaptationMethod(
            lambda rate, steps: adapts(model, LOSS, optax.sgd(rate), steps, forward_only()),
            lambda weights, rate: weights,
            lambda rate, steps: factory(model, LOSS, optax.sgd(rate), steps, **options),
        )

    def sgd_with_learned_rates(estimator: Estimator) -> Callable[[float, int], MetaLearner]:
        return lambda rate, steps: meta_sgd(model, LOSS, rate, steps, estimator)

    def speaker_vector(estimator: Estimator) -> Callable[[float, int], MetaLearner]:
        return lambda rate, steps: cavia(for_speaker, LOSS, optax.sgd(rate), steps, CONTEXT, estimator)

    def test_time(rate: float, steps: int) -> MetaLearner:
        return unlabelled(model, LOSS, confidence(), optax.sgd(rate), steps, forward_only(), is_norm_or_bias)

    return {
        **{f"fine-tune {name}": tuned(name) for name in METHODS},
        "speaker average": tuned("all")._replace(average=True),
        "maml": family(maml, estimator=exact)._replace(adapts="all"),
        "fomaml": family(maml, estimator=first_order())._replace(adapts="all"),
        "reptile": family(reptile)._replace(adapts="all"),
        "anil": family(anil, anil, estimator=exact)._replace(adapts="head"),
        "boil": family(boil, boil, estimator=exact),
        "meta_sgd": AdaptationMethod(
            sgd_with_learned_rates(forward_only()),
            lambda weights, rate: {"weights": weights, "rate": jax.tree.map(lambda w: jnp.full_like(w, rate), weights)},
            sgd_with_learned_rates(exact), scale=None,
        ),
        "cavia": AdaptationMethod(speaker_vector(forward_only()), _with_context, speaker_vector(exact), scale=100.0),
        "test time": AdaptationMethod(test_time, lambda weights, rate: weights, labels=False),
    }  # fmt: skip


def for_each_utterance(method: AdaptationMethod) -> AdaptationMethod:
    """The same method, which adapts to every utterance by itself, and recognises each by what adapted to it."""
    return method._replace(build=lambda rate, steps: each_utterance(method.build(rate, steps)))


def select_methods(known: Mapping[str, AdaptationMethod], names: Sequence[str]) -> dict[str, AdaptationMethod]:
    """The methods of these names, in this order.

    Raises:
      ValueError: there is none of a name.
    """
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"methods has {unknown[0]!r}; there are {', '.join(known)}.")
    return {name: known[name] for name in names}


def ready_to_adapt(recogniser: Recogniser, method: AdaptationMethod, chosen: ChosenMethod) -> Recogniser:
    """The recogniser with the params that a method starts from, whose card says what adapts and with which steps.

    Raises:
      ValueError: a card has no name for what the method adapts.
    """
    if method.adapts is None:
        raise ValueError(f"{chosen.name!r} cannot be kept as a recogniser: what it adapts is none of {METHODS}.")
    origin = recogniser.card.origin | {"method": chosen.name}
    card = replace(recogniser.card, adaptation=method.adapts, rate=chosen.rate, steps=chosen.steps, origin=origin)
    return recogniser._replace(card=card, params=chosen.params)


def starting_params(
    method: AdaptationMethod,
    weights: PyTree,
    corpus: Corpus,
    vocabulary: Vocabulary,
    meta: MetaTraining,
    directory: Path,
    *,
    seed: int,
    config: Mapping[str, Any],
    augment: Augment | None = None,
) -> PyTree:
    """What a method starts from with a new speaker: meta-trained params, an average, or the weights in its own form.

    Args:
      method: as `adaptation_methods` gives it.
      weights: of a trained recogniser.
      corpus: of the training speakers.
      vocabulary: of the transcripts.
      meta: how params are meta-trained, with tasks of one speaker each.
      directory: of the checkpoints of meta-training.
      seed: of the tasks and the augmentation.
      config: what decides the result besides the weights, `meta` and the seed.
      augment: what a task goes through in meta-training; None: each utterance through `training.augmentation()`.
    Raises: as `training.train_recogniser`.
    """
    params = method.start(weights, meta.inner_rate)
    if method.average:
        return average_of_speakers(method.build(meta.inner_rate, meta.steps), params, corpus, vocabulary, seed)
    if method.meta is None:
        return params
    decided = meta.decides() | {"seed": seed, "weights": params_digest(weights)} | dict(config)
    return fit(
        method.meta((method.scale or 1.0) * meta.inner_rate, meta.steps),
        speaker_tasks(corpus, vocabulary, meta, seed), meta.updates, meta.rate, directory,
        augment=augment or augment_episode(augmentation()), features=corpus.frames.shape[1], seed=seed,
        config=decided, params=params,
    ).params  # fmt: skip


def _with_context(weights: PyTree, rate: float) -> PyTree:
    """The weights and a random map from the context, which starts at zero, to the encoder's input."""
    width = weights["front"]["Dense_0"]["bias"].shape[0]
    return weights | {"context": {"kernel": jax.random.normal(jax.random.key(0), (CONTEXT, width)) / CONTEXT**0.5}}
