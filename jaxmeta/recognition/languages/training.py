"""Training on several languages: on all of them at once, and meta-training with languages as tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmeta.data.augmentation.rows import Transform
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.by_language import language_tasks, rows_of_language
from jaxmeta.data.sampling.replay import batches_of_rows
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.recognition.presets import LanguageTraining, MetaTraining
from jaxmeta.recognition.training import augmentation
from jaxmeta.training.fit import fit
from jaxmeta.types import MetaLearner, PyTree


def train_on_languages(
    learner: MetaLearner,
    corpus: Corpus,
    vocabulary: Vocabulary,
    languages: Sequence[str],
    training: LanguageTraining,
    directory: Path,
    *,
    seed: int,
    config: Mapping[str, Any],
    augment: Transform | None = None,
) -> PyTree:
    """Weights trained on the training utterances of several languages at once.

    Args:
      learner: one that does not adapt, such as MAML without steps.
      corpus: with the columns `transcription`, `language` and `split`.
      vocabulary: of all languages.
      languages: values of the column.
      training: how long, and in which batches.
      directory: of the checkpoints and the log.
      seed: of the initial weights, the order of utterances and the augmentation.
      config: what decides the result besides `training` and the seed.
      augment: what each utterance goes through; None: `augmentation()`.
    Raises:
      Interrupted: a signal came; the same call resumes.
      ValueError: a language has no utterance; the directory holds a run of another config.
    """
    longest = training.max_frames
    rows = np.concatenate([rows_of_language(corpus, language, "train", longest) for language in languages])
    batches = batches_of_rows(corpus, vocabulary, rows, size=training.batch_size, padded=longest, seed=seed)
    return fit(
        learner, batches, training.updates, training.rate, directory,
        augment=augment_episode(augment or augmentation(), on="query"), features=corpus.frames.shape[1], seed=seed,
        config=training._asdict() | {"seed": seed} | dict(config),
    ).params  # fmt: skip


def meta_train_on_languages(
    learner: MetaLearner,
    corpus: Corpus,
    vocabulary: Vocabulary,
    languages: Sequence[str],
    meta: MetaTraining,
    directory: Path,
    *,
    params: PyTree,
    seed: int,
    config: Mapping[str, Any],
    augment: Transform | None = None,
    shuffled: bool = False,
) -> PyTree:
    """Weights meta-trained with languages as tasks.

    Args:
      learner: with the inner rate and steps of `meta`.
      corpus, vocabulary, languages, directory: as in `train_on_languages`.
      meta: how weights are meta-trained.
      params: where meta-training starts.
      seed: of the tasks and the augmentation.
      config: what decides the result, `params` among it, besides `meta` and the seed.
      augment: as in `train_on_languages`.
      shuffled: as in `language_tasks`; belongs to `config`.
    Raises: as `train_on_languages`.
    """
    tasks = language_tasks(
        corpus, vocabulary, languages, tasks=meta.tasks, support=meta.support, query=meta.query,
        max_frames=meta.longest, seed=seed, shuffled=shuffled,
    )  # fmt: skip
    return fit(
        learner, tasks, meta.updates, meta.rate, directory, augment=augment_episode(augment or augmentation()),
        features=corpus.frames.shape[1], seed=seed, config=meta.decides() | {"seed": seed} | dict(config),
        params=params,
    ).params  # fmt: skip
