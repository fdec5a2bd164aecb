"""Tasks that are small vocabularies: some words, drawn and numbered anew each time, and utterances of these words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmeta.data.sampling.padding import check_ranges, gather, round_up
from jaxmeta.data.sampling.transcribed import encode_column
from jaxmeta.types import Batch, Episode, Ragged

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus
    from jaxmeta.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class WordSetTasks:
    """`sampler(index) -> Episode`, a batch of tasks with a vocabulary each; made by `word_set_tasks`."""

    corpus: Corpus
    labels: Ragged
    """Words of each row of the corpus, [R, L]."""
    words: int
    """In all."""
    languages: tuple[np.ndarray, ...]
    """Words of each language, as they are numbered in the labels."""
    ways: int
    tasks: int
    support: int
    query: int
    padded: int
    seed: int

    def __call__(self, index: int) -> Episode:
        """Batch `index`, with leaves [tasks, support or query, ...]; labels lie in [1, ways]."""
        drawn = [self._task(np.random.default_rng([self.seed, index, task])) for task in range(self.tasks)]
        rows, labels = (np.stack(part) for part in zip(*drawn, strict=True))
        return Episode(
            self._batch(rows[:, : self.support], labels[:, : self.support]),
            self._batch(rows[:, self.support :], labels[:, self.support :]),
        )

    def _batch(self, rows: np.ndarray, labels: Any) -> Batch:
        weight: Any = np.ones(rows.shape, np.float32)
        lengths = self.labels.lengths[rows]
        return Batch(gather(self.corpus, rows, self.padded), Ragged(labels, lengths), weight)

    def _task(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the corpus [support + query], and their labels among the words of this task."""
        number = np.zeros(self.words + 1, np.int32)
        # Words of one language stand together in utterances.
        languages = [self.languages[index] for index in rng.permutation(len(self.languages))]
        chosen = np.concatenate([rng.permutation(words) for words in languages])[: self.ways]
        number[rng.permutation(chosen)] = 1 + np.arange(self.ways)
        values, lengths = self.labels
        able = np.flatnonzero(((number[values] > 0) | (values == 0)).all(axis=1))
        # Short utterances are within a small vocabulary more often; each length is as likely here.
        share = 1 / np.bincount(lengths[able])[lengths[able]]
        rows = rng.choice(able, self.support + self.query, replace=False, p=share / share.sum())
        return rows, number[values[rows]]


def word_set_tasks(
    corpus: Corpus, vocabulary: Vocabulary, *, ways: int, tasks: int, support: int, query: int, seed: int
) -> WordSetTasks:
    """Batches of tasks, each of which has a few words of a vocabulary, numbered at random, and no others.

    What is learnt of them is how to learn words, and not which words there are. The words of a task are of one language
    as far as it has so many, and then of a second one.
    Args:
      corpus: with the column `transcription`, and maybe `language`; rows are utterances of one or more words.
      vocabulary: of words.
      ways: words of a task; targets are their numbers, in [1, ways].
      tasks: of a batch.
      support, query: utterances of a task, by any speakers.
      seed: of the draws.
    Raises:
      ValueError: more ways than words of the vocabulary, or than words in the corpus; no vocabulary of words; a number
        below 1. When a task is drawn: its words have fewer utterances than support and query together.
    """
    check_ranges(ways=(ways, 1), tasks=(tasks, 1), support=(support, 1), query=(query, 1), seed=(seed, 0))
    words = vocabulary.size - 1
    if vocabulary.level != "word" or ways > words:
        raise ValueError(f"ways={ways} must be at most the words of a vocabulary of words; there are {words} units.")
    labels, padded = encode_column(corpus, vocabulary), int(round_up(corpus.length.max()))
    languages = _by_language(corpus, labels)
    if ways > (there := sum(map(len, languages))):
        raise ValueError(f"ways={ways} must be at most the words in the corpus; there are {there}; give more.")
    return WordSetTasks(corpus, labels, words, languages, ways, tasks, support, query, padded, seed)


def _by_language(corpus: Corpus, labels: Ragged) -> tuple[np.ndarray, ...]:
    names = corpus.columns.get("language", np.zeros(len(corpus), int))
    values: Any = labels.values
    own = [np.setdiff1d(values[names == name], [0]) for name in np.unique(names)]
    # A word of several languages is one of the first.
    first = [np.setdiff1d(each, np.concatenate([[0], *own[:index]])) for index, each in enumerate(own)]
    return tuple(each for each in first if len(each))
