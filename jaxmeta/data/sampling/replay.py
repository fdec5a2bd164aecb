"""Batches of one shape from some rows of a corpus, and the same with stored utterances of earlier tasks among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxmeta.data.sampling.transcribed import batch_of, encode_column
from jaxmeta.data.sampling.utterances import BatchSampler
from jaxmeta.types import Episode

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus
    from jaxmeta.data.vocabulary import Vocabulary


def batches_of_rows(
    corpus: Corpus, vocabulary: Vocabulary, rows: np.ndarray, *, size: int, padded: int, seed: int
) -> BatchSampler:
    """Batches of some rows of a corpus, all padded to one length, so that one program serves any language or speaker.

    Args:
      corpus: with the column `transcription`.
      vocabulary: of the texts.
      rows: of the corpus, none of more than `padded` frames.
      size: utterances of a batch.
      padded: frames, a multiple of 8.
      seed: of their order.
    """
    labels = encode_column(corpus, vocabulary)
    return BatchSampler(corpus, labels, seed, (padded,), (size,), (rows,), max(1, round(len(rows) / size)))


@dataclass(frozen=True)
class Replay:
    """`sampler(index) -> Episode`, new utterances and some stored ones in every batch; made by `with_replay`."""

    fresh: BatchSampler
    stored: np.ndarray
    """Rows of the corpus of `fresh`."""
    replayed: int
    """Stored utterances in a batch."""

    def __call__(self, index: int) -> Episode:
        """Batch `index` as an episode of one task, as that of a `BatchSampler`."""
        rows, padded = self.rows(index)
        batch = batch_of(self.fresh.corpus, self.fresh.labels, rows[None], padded)
        return Episode(batch, batch)

    def rows(self, index: int) -> tuple[np.ndarray, int]:
        """The rows of the corpus in batch `index`, stored ones last, and their padded length."""
        rows, padded = self.fresh.rows(index)
        rng = np.random.default_rng([self.fresh.seed, index])
        drawn = rng.choice(self.stored, self.replayed, replace=self.replayed > len(self.stored))
        return np.concatenate([rows, drawn]), padded


def with_replay(fresh: BatchSampler, stored: np.ndarray, count: int) -> Replay:
    """Batches of `fresh` with `count` stored utterances added to each.

    Args:
      fresh: batches of what is learnt now.
      stored: rows of its corpus that were learnt before.
      count: 1 or more.
    Raises:
      ValueError: nothing is stored, or the count is below 1.
    """
    if not len(stored) or count < 1:
        raise ValueError(f"replay needs stored utterances and a count of 1 or more, got {len(stored)} and {count}.")
    return Replay(fresh, stored, count)
