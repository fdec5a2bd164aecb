"""Meta-training of a decoder's adapters as a start for voices: on outputs of the encoder, with speakers as tasks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import optax

from jaxmeta import MetaLearner, maml, reptile
from jaxmeta.data.corpus import Corpus
from jaxmeta.estimators import Estimator
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.learners.learned_rates import at_learned_rates
from jaxmeta.models.pretrained.blocks import widened
from jaxmeta.models.pretrained.whispers.taught import taught_whisper
from jaxmeta.recognition.methods import AdaptationMethod
from jaxmeta.recognition.pretrained.adapter import with_whisper_adapters
from jaxmeta.recognition.pretrained.decoder.batches import Tokens, learnable
from jaxmeta.recognition.pretrained.decoder.start import (
    LearnedStart,
    adapting,
    of_leaf,
    transcript_loss,
    with_start_rates,
)
from jaxmeta.recognition.pretrained.decoder.training import (
    PublicWhisper,
    TrainedDecoder,
    encoded,
    masked_batches,
)
from jaxmeta.recognition.pretrained.meta_training import estimator_of, meta_train, speaker_tasks
from jaxmeta.recognition.pretrained.presets import DecoderPreset, RecogniserLearner
from jaxmeta.recognition.pretrained.training import activation_masks
from jaxmeta.types import Episode, Key, Model, PyTree


def start_learner(model: Model, start: LearnedStart, prompt: int, layers: int, estimator: Estimator) -> MetaLearner:
    """The learner of a start; it adapts as `adaptation.learn` does to recordings that fit into a batch.

    Args:
      model: as `taught_whisper` has it; params are adapters of the decoder, with rates where the start has some.
      start: which learner, and its steps.
      prompt: tokens of it.
      layers: of the decoder.
      estimator: of the meta-gradient.
    """
    loss, adapt_only = transcript_loss(prompt), of_leaf(adapting(start.learner, layers))
    if start.rates != "none":
        return at_learned_rates(model, loss, start.steps, estimator, adapt_only)
    if start.learner == "reptile":
        return reptile(model, loss, optax.sgd(start.rate), start.steps, adapt_only)
    return maml(model, loss, optax.sgd(start.rate), start.steps, estimator, adapt_only)


def meta_train_decoder(
    base: PublicWhisper,
    trained: TrainedDecoder,
    speech: Corpus,
    learner: RecogniserLearner,
    training: DecoderPreset,
    directory: Path,
    *,
    seed: int,
    config: Mapping[str, Any],
) -> TrainedDecoder:
    """A trained decoder whose adapters are a start for a voice, with rates where the learner has some.

    Tasks are speakers. The whole encoder rests, with its adapters, and its outputs are cached. All adapters of the
    decoder have outer gradients; those of `start.adapting` are fast.
    Args:
      base: that was trained.
      trained: what `train_decoder` gives.
      speech: of the training speakers, with the features that the encoder takes.
      learner: of the start.
      training: with `meta`, and the masks of training, which query and support have here, too.
      directory: of the checkpoints and the log.
      seed: of the tasks and the masks.
      config: what decides the result besides the adapters, `training.meta` and the seed.
    Raises: as `meta_training.meta_train`; ValueError where no speaker has recordings enough.
    """
    meta, recogniser = training.meta, trained.recogniser
    network, tokenizer = recogniser.config, recogniser.tokenizer
    start = LearnedStart(learner, meta.steps, meta.inner_rate)
    speech = learnable(speech, recogniser, training.longest)
    resting = {path: each for path, each in trained.adapters.items() if path.startswith("encoder/")}
    corpus = encoded(
        speech, with_whisper_adapters(replace(base.recogniser, habits=recogniser.habits), resting),
        {"base": base.sha256} | ({"adapters": params_digest(resting)} if resting else {}),
    )  # fmt: skip
    # Wide already, as in training.
    weights = {"decoder": jax.tree.map(widened, base.recogniser.params["decoder"])}
    model = taught_whisper(network, weights, training.rank, 0).model
    prompt = tokenizer.whisper_prompt(base.language)

    def build(rate: float, steps: int) -> MetaLearner:
        return start_learner(model, start, len(prompt), network.decoder_layers, estimator_of(learner))

    def begin(params: PyTree, rate: float) -> PyTree:
        return with_start_rates(params, start.rates, rate, adapting(learner, network.decoder_layers))

    params = meta_train(
        AdaptationMethod(build, begin, build),
        {path: each for path, each in trained.adapters.items() if path not in resting},
        speaker_tasks(corpus, Tokens(tokenizer, recogniser.habits.case, recogniser.longest), meta, seed),
        meta, directory, width=corpus.frames.shape[1], seed=seed,
        config={"learner": learner, "hidden": training.hidden, "encoded": corpus.fingerprint} | dict(config),
        augment=_each(masked_batches(activation_masks(network.d_model), prompt, tokenizer.end, training.hidden)),
    )  # fmt: skip
    adapters = resting | params
    whisper = with_whisper_adapters(replace(base.recogniser, habits=recogniser.habits), adapters)
    return TrainedDecoder(replace(trained.card, start=start), adapters, whisper)


def _each(change: Callable[[Key, Any], Any]) -> Callable[[Key, Episode], Episode]:
    """A change of batches as one of episodes."""
    return lambda key, episode: Episode(
        *(change(jax.random.fold_in(key, place), batch) for place, batch in enumerate(episode))
    )
