"""Meta-training of what a small part learns on a frozen encoder: its start, and the rates of its steps.

The encoder runs once for each recording (`stored_activations`); params are adapters and a head, or a head alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import optax
from jax import numpy as jnp

from jaxmeta import MetaLearner, anil, cavia, first_order, forward_only, maml, meta_sgd, mixed_mode, reptile, unlabelled
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.transcribed import Labels, short_enough, speech_by, too_few
from jaxmeta.data.sampling.utterances import UtteranceSampler, utterance_sampler
from jaxmeta.estimators import Estimator
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.learners.learned_rates import RATE, Rates, new_rates
from jaxmeta.optimizers import adam
from jaxmeta.recognition.adaptation import LOSS, Adaptation, fine_tuning, is_norm_or_bias
from jaxmeta.recognition.methods import AdaptationMethod
from jaxmeta.recognition.presets import MetaTraining
from jaxmeta.recognition.pretrained.decoder.start import RATES
from jaxmeta.recognition.pretrained.on_base import parts
from jaxmeta.recognition.pretrained.presets import RecogniserLearner
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.sequence_losses import confidence
from jaxmeta.training.fit import Augment, fit
from jaxmeta.types import Episode, Key, Model, PyTree

FINE_TUNING, FINE_TUNING_ADAM, TEST_TIME = "fine-tune", "fine-tune by Adam", "test time"
ADAM = 0.3
"""Rates of inner Adam over those of gradient descent."""
OUTPUT = "output"
"""Name of the last layer, which alone adapts under `anil`."""


def adapter_methods(model: Model, width: int) -> Mapping[str, AdaptationMethod]:
    """Every way to adapt what learns on a frozen encoder, by name; the first two and "test time" are not meta-trained.

    Those whose rates are not learned adapt by Adam, but for the first one and "cavia".

    Args:
      model: of Ragged activations [N, T, D] to Ragged logits, such as a head with adapters in the layers below it. Its
        params are what learns, and all of them adapt, but with "anil" (the last layer) and "cavia" (a vector that is
        added to the activations) and "test time" (norms and biases, without transcripts).
      width: D.
    """
    told = with_context(model)

    def steps_of(optimizer: Callable[[Any], optax.GradientTransformation], scale: float) -> AdaptationMethod:
        def build(rate: float, steps: int) -> MetaLearner:
            return maml(model, LOSS, optimizer(rate), steps, forward_only())

        return AdaptationMethod(build, lambda params, rate: params, scale=scale)

    def test_time(rate: float, steps: int) -> MetaLearner:
        return unlabelled(model, LOSS, confidence(), optax.sgd(rate), steps, forward_only(), is_norm_or_bias)

    def family(
        factory: Callable[..., MetaLearner], adapts: Callable[..., MetaLearner] = maml, **options: Any
    ) -> AdaptationMethod:
        return AdaptationMethod(
            lambda rate, steps: adapts(model, LOSS, adam(rate), steps, forward_only()),
            lambda params, rate: params,
            lambda rate, steps: factory(model, LOSS, adam(rate), steps, **options),
            scale=ADAM,
        )

    def learned_rates(estimator: Estimator) -> Callable[[float, int], MetaLearner]:
        return lambda rate, steps: meta_sgd(model, LOSS, rate, steps, estimator)

    def vector(estimator: Estimator) -> Callable[[float, int], MetaLearner]:
        return lambda rate, steps: cavia(told, LOSS, optax.sgd(rate), steps, width, estimator)

    def rates(shape: Callable[[jax.Array], tuple[int, ...]]) -> AdaptationMethod:
        def start(params: PyTree, rate: float) -> PyTree:
            return {"weights": params, "rate": jax.tree.map(lambda leaf: jnp.full(shape(leaf), rate), params)}

        return AdaptationMethod(learned_rates(forward_only()), start, learned_rates(mixed_mode()), scale=None)

    return {
        FINE_TUNING: steps_of(optax.sgd, 1.0),
        FINE_TUNING_ADAM: steps_of(adam, ADAM),
        "maml": family(maml, estimator=mixed_mode()),
        "fomaml": family(maml, estimator=first_order()),
        "reptile": family(reptile),
        "anil": family(_last_layer, _last_layer, estimator=mixed_mode()),
        "meta_sgd": rates(lambda leaf: leaf.shape),
        "layer_rates": rates(lambda leaf: ()),
        TEST_TIME: AdaptationMethod(test_time, lambda params, rate: params, labels=False),
        "cavia": AdaptationMethod(
            vector(forward_only()), lambda params, rate: params, vector(mixed_mode()), scale=10.0
        ),
    }


def meta_train(
    method: AdaptationMethod,
    params: PyTree,
    tasks: Callable[[int], Episode],
    meta: MetaTraining,
    directory: Path,
    *,
    width: int,
    seed: int,
    config: Mapping[str, Any],
    augment: Augment | None = None,
) -> PyTree:
    """The start of a method, and the rates of its steps where it learns them; or what was meta-trained before.

    Args:
      method: one of `adapter_methods`; one that is not meta-trained gives the params in its own form.
      params: of the model, such as those trained on all speakers at once.
      tasks: index -> batch of tasks of one speaker, language, vocabulary or room each, of activations.
      meta: how long, and with which inner steps; the numbers of tasks and utterances are those of `tasks`.
      directory: of the checkpoints and the log.
      width: numbers in a frame of the activations.
      seed: of the augmentation.
      config: what decides the result besides params, `meta` and the seed: the method and what tasks are drawn from.
      augment: (key, episode) -> episode, for one task; None: it stays as it is.
    Raises:
      Interrupted: a signal came; the same call resumes.
      ValueError: the directory holds a run of another config.
    """
    start = method.start(params, meta.inner_rate)
    if method.meta is None:
        return start
    decided = meta.decides() | {"seed": seed, "params": params_digest(params)} | dict(config)
    return fit(
        method.meta((method.scale or 1.0) * meta.inner_rate, meta.steps), tasks, method.updates * meta.updates,
        meta.rate, directory, augment=augment or _unchanged, features=width, seed=seed, config=decided, params=start,
    ).params  # fmt: skip


def meta_train_recogniser(
    recogniser: Recogniser,
    speech: Corpus,
    learner: RecogniserLearner,
    meta: MetaTraining,
    directory: Path,
    *,
    seed: int,
    config: Mapping[str, Any],
) -> Recogniser:
    """A recogniser on a base whose params are a start for adaptation to a voice, with rates where the learner has some.

    Tasks are speakers. Its card says what adapts, with which steps and, where it is not learned, at which rate.
    Args:
      recogniser: on a public encoder, trained on all speakers.
      speech: of the speakers, with the activations below the lowest layer that learns.
      learner: "anil" adapts the head alone, all others the head and the adapters.
      meta: how long, and with which inner steps.
      directory: of the checkpoints and the log.
      seed: of the tasks.
      config: what decides the result besides the recogniser, `meta` and the seed.
    Raises: as `meta_train`; ValueError where no speaker has recordings enough.
    """
    rates: Rates = RATES.get(learner, "none")
    adapts: Adaptation = "head" if learner == "anil" else "learned" if rates != "none" else "all"
    options = recogniser.card.options | {"rates": rates}
    card = replace(recogniser.card, options=options, adaptation=adapts, rate=meta.inner_rate, steps=meta.steps)
    upper = parts(recogniser._replace(card=card)).upper

    def build(rate: float, steps: int) -> MetaLearner:
        if learner == "reptile":
            return reptile(upper.model, LOSS, optax.sgd(rate), steps)
        return fine_tuning(upper.model, adapts, rate, steps, estimator_of(learner))

    def start(params: PyTree, rate: float) -> PyTree:
        return params if rates == "none" else params | {RATE: new_rates(params, rates, rate)}

    tasks = speaker_tasks(speech, recogniser.vocabulary, meta, seed)
    params = meta_train(
        AdaptationMethod(build, start, build), recogniser.params, tasks, meta, directory,
        width=speech.frames.shape[1], seed=seed, config={"learner": learner} | dict(config),
    )  # fmt: skip
    return recogniser._replace(card=card, params=params)


def speaker_tasks(speech: Corpus, labels: Labels, meta: MetaTraining, seed: int) -> UtteranceSampler:
    """Tasks of one speaker each, all padded to one length; raises as `utterance_sampler`."""
    return utterance_sampler(
        speech, labels, support=meta.support, query=meta.query, tasks=meta.tasks, seed=seed,
        max_frames=meta.longest, buckets=1,
    )  # fmt: skip


def check_speakers(speech: Corpus, meta: MetaTraining, longest: int) -> None:
    """Raise ValueError unless a speaker has enough recordings for a task, before any training.

    Args:
      speech: of the training speakers, with any features.
      meta: of how many recordings a task is.
      longest: frames of these features above which a recording is in no task.
    """
    wanted, groups = meta.support + meta.query, speech_by(short_enough(speech, longest), "speaker")
    if all(group.recordings < wanted for group in groups):
        what = f"a learner with support + query = {meta.support} + {meta.query}"
        raise ValueError(too_few(groups, what, wanted, "speaker"))


def estimator_of(learner: RecogniserLearner) -> Estimator:
    """How the meta-gradient of a learner passes through the inner steps."""
    return first_order() if learner == "fomaml" else mixed_mode()


def with_context(model: Model) -> Model:
    """A model of (Ragged activations [N, T, D], context [D]): the context is added to every frame.

    `cavia` adapts it, from zero, while the params stay the same for all; so a voice is D numbers.
    """

    def shifted(inputs):
        activations, context = inputs
        return activations._replace(values=activations.values + context.astype(activations.values.dtype))

    return Model(
        lambda key, inputs: model.init(key, shifted(inputs)),
        lambda params, state, inputs, key, train: model.apply(params, state, shifted(inputs), key, train),
    )


def _last_layer(*args: Any, **options: Any) -> MetaLearner:
    return anil(*args, **(options | {"head": OUTPUT}))


def _unchanged(key: Key, episode: Episode) -> Episode:
    return episode
