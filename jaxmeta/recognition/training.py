"""Training of CTC recognisers: on all speakers at once, and meta-training on tasks of one speaker each."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxmeta.data.augmentation.rows import Transform
from jaxmeta.data.augmentation.spectral import equalise, time_warp
from jaxmeta.data.augmentation.transforms import augment_episode, chain, frequency_warp, spec_augment
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.padding import round_up
from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
from jaxmeta.data.sampling.utterances import UtteranceSampler, batch_sampler, utterance_sampler
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rates import character_edits, error_rate
from jaxmeta.decoding.greedy import greedy
from jaxmeta.learners.averaging import uniform
from jaxmeta.models.acoustic import SIZES, recogniser
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.recognition.corpora import FEATURES, TranscribedSpeech
from jaxmeta.recognition.presets import MetaTraining, RecogniserPreset
from jaxmeta.recognition.recogniser import Recogniser, RecogniserCard, load_recogniser
from jaxmeta.recognition.transcription import transcribe_rows
from jaxmeta.training import TrainState
from jaxmeta.training.checkpoint import Validation
from jaxmeta.training.fit import fit, supervised
from jaxmeta.types import MetaLearner, Model, PyTree, Ragged

_ROWS = 20
"""Utterances that are recognised at once in validation."""


def augmentation(*more: Transform) -> Transform:
    """What an utterance of log-mels goes through in training: other paces, voices and microphones, and masks."""
    return chain(
        time_warp(ends=0.0, bend=0.05),
        frequency_warp(0.9, 1.12, shift=1.0),
        equalise(0.6),
        *more,
        spec_augment(time_masks=2, time_width=25, frequency_masks=2, frequency_width=6, time_fraction=0.08),
    )


def train_recogniser(
    corpus: Corpus,
    held_out: Corpus,
    vocabulary: Vocabulary,
    training: RecogniserPreset,
    directory: Path,
    *,
    seed: int,
    config: Mapping[str, Any],
) -> Recogniser:
    """Train a recogniser from random weights, or load what was trained before.

    Args:
      corpus: transcribed utterances of many speakers, all of which CTC can align; their features are kept in the card.
      held_out: utterances of other speakers; the error on a hundred of them is logged ten times and decides nothing.
      vocabulary: of all transcripts.
      training: which network, and how long.
      directory: of the checkpoints and the log.
      seed: of the initial weights, the order of utterances and the augmentation.
      config: what decides the result besides `training` and the seed: fingerprints of the data.
    Raises:
      Interrupted: a signal came; the same call resumes.
      ValueError: an unknown network; no utterance is short enough; the directory holds a run of another config.
    """
    size = SIZES[training.encoder][training.size]
    model = recogniser(vocabulary.size, training.encoder, size, dropout=training.dropout)
    params = train_on_all_speakers(
        model, corpus, _some(held_out, 100), vocabulary, training, directory, seed=seed, config=config
    )
    return Recogniser(RecogniserCard(training.encoder, size._asdict(), corpus.config or FEATURES), vocabulary, params)


def train_on_all_speakers(
    model: Model,
    corpus: Corpus,
    held_out: Corpus,
    vocabulary: Vocabulary,
    training: RecogniserPreset,
    directory: Path,
    *,
    seed: int,
    config: Mapping[str, Any],
    evaluations: int = 10,
    buckets: int = 4,
    augment: Transform | None = None,
    params: PyTree | None = None,
    update_transform: optax.GradientTransformation | None = None,
) -> PyTree:
    """Weights of a recogniser trained on all utterances of all speakers at once.

    Args:
      model: Ragged log-mels to Ragged logits, as `models.acoustic.recogniser` gives it.
      corpus, vocabulary, directory: as in `train_recogniser`.
      held_out: utterances of other speakers; their error is logged `evaluations` times.
      training: how long; what it says of the network is not read, but belongs to what decides the result.
      seed, params, update_transform: as in `training.fit.fit`.
      config: what decides the result besides `training`, the corpus and the seed.
      buckets: padded lengths of batches, 1 to 4, each of which compiles the update again.
      augment: what each utterance goes through; None: `augmentation()`.
    Raises: as `train_recogniser`.
    """
    sampler = batch_sampler(
        corpus, vocabulary, seed=seed, frames_per_batch=training.frames_per_batch, max_frames=training.max_frames,
        buckets=buckets,
    )  # fmt: skip
    return fit(
        supervised(model, LOSS), sampler, training.updates, training.rate, directory,
        augment=augment_episode(augment or augmentation(), on="query"), features=corpus.frames.shape[1], seed=seed,
        config=training._asdict() | {"seed": seed, "corpus": corpus.fingerprint} | dict(config),
        params=params, update_transform=update_transform,
        validation=Validation(validation_score(model, held_out, vocabulary), max(1, training.updates // evaluations)),
    ).params  # fmt: skip


def train_in_stages(
    model: Model,
    stages: Mapping[str, tuple[Corpus, int]],
    held_out: Corpus,
    vocabulary: Vocabulary,
    training: RecogniserPreset,
    directory: Path,
    *,
    seed: int,
) -> PyTree:
    """Weights of a recogniser trained on one corpus after another, such as synthesised speech and then recordings.

    Args:
      model, held_out, vocabulary, seed: as in `train_on_all_speakers`.
      stages: name -> a corpus and the number of updates on it, in order; each has a folder of its name in `directory`,
        where the stages that are there already are loaded.
      training: of every stage, but for the updates.
    Raises: as `train_recogniser`.
    """
    params: PyTree = None
    done: dict[str, Any] = {}
    for name, (corpus, updates) in stages.items():
        done = done | {name: [updates, corpus.fingerprint]}
        params = train_on_all_speakers(
            model, corpus, held_out, vocabulary, training._replace(updates=updates), directory / name, seed=seed,
            config={"stages": done}, params=params,
        )  # fmt: skip
    return params


def weights_to_go_on_from(folder: Path, training: RecogniserPreset, speech: TranscribedSpeech) -> PyTree:
    """Weights of a recogniser in a folder, from which training goes on.

    Args:
      folder: of a recogniser that was trained on the same speech, so that it knows none of the held-out speakers.
      training: which network.
      speech: that training goes on with.
    Raises:
      ValueError: the recogniser has another network or other characters, or was trained on other speech. As
        `load_recogniser`.
    """
    card, vocabulary, params, _ = load_recogniser(folder)
    network = (training.encoder, *SIZES[training.encoder][training.size])
    if (card.builder, card.options.get("width"), card.options.get("depth")) != network:
        raise ValueError(f"{folder} has the network {card.builder} {card.options}; {training} needs another one.")
    if vocabulary.units != speech.vocabulary.units:
        raise ValueError(f"{folder} writes {vocabulary.units}, not {speech.vocabulary.units}; train it on this speech.")
    trained_on = card.origin.get("data", {})
    if set(trained_on.values()) != set(speech.fingerprints.values()):
        raise ValueError(
            f"{folder} was trained on {trained_on}, not on {speech.fingerprints}; train it on this speech."
        )
    return params


def validation_score(model: Model, corpus: Corpus, vocabulary: Vocabulary) -> Callable[[TrainState], float]:
    """A score for `train_loop`: minus the character error rate in percent over a corpus, by greedy search."""
    longest = int(round_up(corpus.length.max()))
    said = corpus.columns["transcription"].tolist()

    @jax.jit
    def recognise(params: PyTree, inputs: Ragged) -> Ragged:
        return greedy(model.apply(params, {}, inputs, jax.random.key(0), False)[0])

    def score(train: TrainState) -> float:
        rows = np.arange(len(corpus))
        texts = transcribe_rows(corpus, vocabulary, rows, longest, partial(recognise, train.params), _ROWS)
        return -error_rate(character_edits(said, texts))

    return score


def _some(corpus: Corpus, most: int) -> Corpus:
    """At most so many utterances, evenly spaced."""
    chosen = np.unique(np.linspace(0, len(corpus) - 1, most).astype(int))
    return corpus.select(np.isin(np.arange(len(corpus)), chosen))


def speaker_tasks(corpus: Corpus, vocabulary: Vocabulary, meta: MetaTraining, seed: int) -> UtteranceSampler:
    """Batches of tasks for meta-training, each a speaker of the corpus."""
    return utterance_sampler(
        corpus, vocabulary, support=meta.support, query=meta.query, tasks=meta.tasks, seed=seed,
        max_frames=meta.longest, buckets=1,
    )  # fmt: skip


def average_of_speakers(
    learner: MetaLearner, params: PyTree, corpus: Corpus, vocabulary: Vocabulary, seed: int, count: int = 32
) -> PyTree:
    """The uniform average of the weights that adapt to ten utterances of each of some training speakers."""
    episodes = adaptation_episodes(corpus, vocabulary, supports=(10,), query=1, seed=seed)
    chosen = np.random.default_rng(seed).permutation(len(episodes.groups))[:count]
    adapt = jax.jit(lambda batch: learner.adapt(params, {}, batch, jax.random.key(0))[0])
    supports = (jax.tree.map(lambda leaf: leaf[0], episodes(10, [index]).support) for index in chosen)
    return uniform([adapt(support) for support in supports])
