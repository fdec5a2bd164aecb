"""Transcribed speech by language: its rows, tasks that are languages, and the episodes of the test protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes, AdaptationGroup
from jaxmeta.data.sampling.transcribed import batch_of, encode_column
from jaxmeta.types import Episode, Ragged

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus
    from jaxmeta.data.vocabulary import Vocabulary


def rows_of_language(corpus: Corpus, language: str, split: str, max_frames: int) -> np.ndarray:
    """The rows of a language and a split that have at most `max_frames` frames.

    Args:
      corpus: with the columns `language` and `split`.
      language, split: values of these columns.
      max_frames: longer utterances are left out.
    Raises:
      ValueError: there are none.
    """
    own = (corpus.columns["split"] == split) & (corpus.columns["language"] == language)
    rows = np.flatnonzero(own & (corpus.length <= max_frames))
    if not len(rows):
        raise ValueError(f"language={language!r} has no utterance of split {split!r} of {max_frames} frames or fewer.")
    return rows


@dataclass(frozen=True)
class LanguageTasks:
    """`sampler(index) -> Episode`, a batch of tasks that are languages; made by `language_tasks`."""

    corpus: Corpus
    labels: Ragged
    """Of each row of the corpus."""
    rows: tuple[np.ndarray, ...]
    """Of each language."""
    tasks: int
    support: int
    query: int
    padded: int
    seed: int
    shuffled: int = 0
    """Classes that change places from task to task, but for class 0; 0: none do."""

    def __call__(self, index: int) -> Episode:
        """Batch `index`, with leaves [tasks, support or query, ...]; frames are padded to `padded`."""
        rng = np.random.default_rng([self.seed, index])
        # Without replacement as far as it goes: the languages of a batch differ.
        order = np.concatenate([rng.permutation(len(self.rows)) for _ in range(-(-self.tasks // len(self.rows)))])
        drawn = np.stack(
            [rng.choice(self.rows[chosen], self.support + self.query, replace=False) for chosen in order[: self.tasks]]
        )
        parts = drawn[:, : self.support], drawn[:, self.support :]
        episode = Episode(*(batch_of(self.corpus, self.labels, rows, self.padded) for rows in parts))
        if self.shuffled:
            for task, _ in enumerate(drawn):
                places = np.concatenate([[0], 1 + rng.permutation(self.shuffled - 1)])
                for part in episode:
                    part.targets.values[task] = places[part.targets.values[task]]
        return episode


def language_tasks(
    corpus: Corpus,
    vocabulary: Vocabulary,
    languages: Sequence[str],
    *,
    tasks: int,
    support: int,
    query: int,
    max_frames: int,
    seed: int,
    shuffled: bool = False,
) -> LanguageTasks:
    """Batches of tasks that are languages, which differ within a batch as far as there are enough of them.

    Args:
      corpus: with the columns `language`, `split` and `transcription`; tasks have rows of the split "train".
      vocabulary: of the texts.
      languages: what tasks are drawn from.
      tasks: of a batch.
      support, query: utterances of a task, by any of the language's speakers.
      max_frames: longer utterances are left out, and all others padded to that; a multiple of 8.
      seed: of the draws.
      shuffled: whether units of the vocabulary change places from task to task. Without that a network that knows the
        languages has nothing to learn from a task (Yin et al. 2020, "Meta-learning without memorization").
    Raises:
      ValueError: a language has no utterance.
    """
    rows = tuple(rows_of_language(corpus, language, "train", max_frames) for language in languages)
    return LanguageTasks(
        corpus,
        encode_column(corpus, vocabulary),
        rows,
        tasks,
        support,
        query,
        max_frames,
        seed,
        vocabulary.size if shuffled else 0,
    )


def language_episodes(
    corpus: Corpus,
    vocabulary: Vocabulary,
    languages: Sequence[str],
    split: str,
    *,
    supports: Sequence[int],
    draws: int,
    query: int,
    max_frames: int,
    seed: int,
) -> AdaptationEpisodes:
    """Support sets by training speakers of a language, and queries by speakers of another split.

    Args:
      corpus: with the columns `language`, `split`, `speaker` and `transcription`.
      vocabulary: of the texts.
      languages: what is adapted to.
      split: of the queries, such as "test".
      supports: sizes of support sets, each within the next larger one.
      draws: support sets of each size for a language, all with the same queries; groups are named "language/draw".
      query: utterances of a language to be recognised, or as many as it has.
      max_frames: longer utterances are left out, and all others padded to that; a multiple of 8.
      seed: of the draws.
    Raises:
      ValueError: a language has no utterance.
    """
    groups = []
    for language in languages:
        known, others = (rows_of_language(corpus, language, part, max_frames) for part in ("train", split))
        queries = np.random.default_rng(seed).permutation(others)[:query]
        for draw in range(draws):
            support = np.random.default_rng([seed, draw]).permutation(known)[: max(supports)]
            groups.append(AdaptationGroup(f"{language}/{draw}", support, queries))
    labels = encode_column(corpus, vocabulary)
    return AdaptationEpisodes(corpus, labels, tuple(supports), tuple(groups), max_frames, ())
