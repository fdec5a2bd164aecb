"""Training on languages: plainly, on batches of one shape whatever the language, and tasks that are languages."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.languages.data import Languages
from jaxmeta.data.sampling.padding import gather
from jaxmeta.data.sampling.transcribed import batch_of, encode_column
from jaxmeta.data.sampling.utterances import BatchSampler
from jaxmeta.types import Batch, Episode, Ragged


def plain_batches(languages: Languages, rows: np.ndarray, size: int, longest: int, seed: int) -> BatchSampler:
    """Batches of some rows of the corpus, all padded to `longest` frames, so that one program serves any language.

    Args:
      languages: what the rows are of.
      rows: none of more than `longest` frames, see `rows_of`.
      size: utterances of a batch.
      longest: a multiple of 8.
      seed: of their order.
    """
    labels = encode_column(languages.corpus, languages.vocabulary)
    batches = max(1, round(len(rows) / size))
    return BatchSampler(languages.corpus, labels, seed, (longest,), (size,), (rows,), batches)


class Tasks(NamedTuple):
    """`sampler(index) -> Episode`, tasks that are languages: support and query by any of their voices."""

    batch: Callable[[np.ndarray], Batch]
    """Rows [tasks, N] -> a batch."""
    rows: tuple[np.ndarray, ...]
    """Of each language."""
    tasks: int
    support: int
    query: int
    seed: int

    def __call__(self, index: int) -> Episode:
        rng = np.random.default_rng([self.seed, index])
        # Without replacement as far as it goes: the languages of a batch differ.
        order = np.concatenate([rng.permutation(len(self.rows)) for _ in range(-(-self.tasks // len(self.rows)))])
        drawn = np.stack(
            [rng.choice(self.rows[chosen], self.support + self.query, replace=False) for chosen in order[: self.tasks]]
        )
        return Episode(self.batch(drawn[:, : self.support]), self.batch(drawn[:, self.support :]))


def language_tasks(
    languages: Languages, rows: tuple[np.ndarray, ...], tasks: int, support: int, query: int, longest: int, seed: int
) -> Tasks:
    """Tasks of the rows of each language, padded to `longest` frames."""
    labels = encode_column(languages.corpus, languages.vocabulary)

    def batch(chosen: np.ndarray) -> Batch:
        return batch_of(languages.corpus, labels, chosen, longest)

    return Tasks(batch, rows, tasks, support, query, seed)


class Replay(NamedTuple):
    """`sampler(index) -> Episode`, new utterances with some stored ones of earlier languages in every batch."""

    fresh: BatchSampler
    stored: np.ndarray
    """Rows of the corpus of `fresh`."""
    count: int

    def __call__(self, index: int) -> Episode:
        rows, padded = self.rows(index)
        batch = batch_of(self.fresh.corpus, self.fresh.labels, rows[None], padded)
        return Episode(batch, batch)

    def rows(self, index: int) -> tuple[np.ndarray, int]:
        """The rows of the corpus in batch `index`, stored ones last, and their padded length."""
        rows, padded = self.fresh.rows(index)
        rng = np.random.default_rng([self.fresh.seed, index])
        return np.concatenate(
            [rows, rng.choice(self.stored, self.count, replace=self.count > len(self.stored))]
        ), padded


def with_replay(fresh: BatchSampler, stored: np.ndarray, count: int) -> Replay:
    """Batches of `fresh` with `count` stored utterances added to each.

    Raises:
      ValueError: nothing is stored, or the count is below 1.
    """
    if not len(stored) or count < 1:
        raise ValueError(f"replay needs stored utterances and a count of 1 or more, got {len(stored)} and {count}.")
    return Replay(fresh, stored, count)


def hear(
    languages: Languages, rows: np.ndarray, longest: int, recognise: Callable[[Ragged], Ragged], size: int = 32
) -> list[str]:
    """What is recognised in some rows of the corpus, `size` at a time, so that one program does.

    Args:
      languages: what the rows are of.
      rows: of no more than `longest` frames.
      longest: frames to pad to.
      recognise: speech [size, longest, F] -> labels.
      size: of a batch.
    """
    heard: list[str] = []
    for start in range(0, len(rows), size):
        # The last batch is filled up with its last utterance.
        chosen = rows[np.minimum(np.arange(start, start + size), len(rows) - 1)]
        heard += languages.vocabulary.decode_rows(recognise(gather(languages.corpus, chosen, longest)))
    return heard[: len(rows)]
