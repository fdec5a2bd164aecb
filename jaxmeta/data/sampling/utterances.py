"""Transcribed speech as episodes and as plain batches: pure functions of (seed, index), without state.

Targets are Ragged labels of a `Vocabulary`, padded to one length L for a whole corpus; inputs are padded to one of at
most four lengths T, so that a program compiles that often at most. Utterances are never cropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxmeta.data.sampling.groups import Columns
from jaxmeta.data.sampling.padding import check_buckets, check_ranges, lengths_of_batches, lengths_of_clips, round_up
from jaxmeta.data.sampling.transcribed import Labels, Speech, batch_of, encode_column, short_enough, speech_by, too_few
from jaxmeta.types import Episode, Ragged

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus


@dataclass(frozen=True)
class UtteranceSampler:
    """`sampler(index) -> Episode`, a batch of tasks as numpy arrays; made by `utterance_sampler`."""

    corpus: Corpus
    labels: Ragged
    """Of each row of the corpus: values [R, L], lengths [R]."""
    support: int
    query: int
    tasks: int
    seed: int
    lengths: tuple[int, ...]
    """The padded lengths T, ascending."""
    sources: tuple[Speech, ...]
    """What tasks are drawn from, each as likely as another."""

    def __call__(self, index: int) -> Episode:
        """The batch of tasks index * tasks to (index + 1) * tasks - 1.

        Returns:
          Episode: inputs are Ragged with values [tasks, N, T, F] float32 and lengths [tasks, N] int32, where N is
            support or query and T, the same for both, one of `lengths`; targets are Ragged with values [tasks, N, L]
            and lengths [tasks, N], int32; weight [tasks, N] float32 ones. Whatever is beyond a length is 0.
        """
        return self.part(index, 0, self.tasks)

    def size(self, index: int) -> int:
        """Tasks in a batch."""
        return self.tasks

    def part(self, index: int, first: int, last: int) -> Episode:
        """Tasks first to last - 1 of batch `index`, padded as the whole of it is."""
        drawn = self.rows(index)
        longest = max(int(self.corpus.length[rows].max()) for rows in drawn)
        padded = next(length for length in self.lengths if length >= longest)
        return Episode(*(batch_of(self.corpus, self.labels, rows[first:last], padded) for rows in drawn))

    def rows(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of `corpus` in batch `index`: support [tasks, support] and query [tasks, query]."""
        check_ranges(index=(index, 0))
        drawn = np.stack([self._task(index * self.tasks + task) for task in range(self.tasks)])
        return drawn[:, : self.support], drawn[:, self.support :]

    def _task(self, number: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, number])
        source = self.sources[rng.integers(len(self.sources))]
        chosen = rng.choice(source.recordings, self.support + self.query, replace=False)
        return source.rows[rng.integers(source.first[chosen], source.first[chosen + 1])]


def utterance_sampler(
    corpus: Corpus,
    vocabulary: Labels,
    *,
    support: int,
    query: int,
    tasks: int,
    seed: int,
    within: Columns = "speaker",
    max_frames: int | None = None,
    buckets: int = 4,
    column: str = "transcription",
) -> UtteranceSampler:
    """Tasks of transcribed utterances that share a speaker, language, accent or condition.

    Support and query never share a recording (column "recording"); of a recording with copies an episode holds one.
    A value of `within` with too few recordings is never drawn.

    Args:
      corpus: select the rows of a split, and those that CTC can align (`drop_infeasible`), first.
      vocabulary: of the texts.
      support: utterances to adapt to, 1 or more.
      query: utterances to be recognised after it, 1 or more.
      tasks: episodes of a batch, 1 or more.
      seed: 0 or more; another seed gives other episodes.
      within: column or columns whose values all utterances of an episode share.
      max_frames: longer utterances are left out, as a crop would not fit its text; None: all may be drawn.
      buckets: the largest number of padded lengths, 1 to 4.
      column: the column of the texts; "translation" for translation.
    Raises:
      ValueError: no value of `within` has support + query recordings, with their counts; a character outside the
        vocabulary or an empty text, with the recording; a missing column; an argument out of its range.
    """
    check_ranges(support=(support, 1), query=(query, 1), tasks=(tasks, 1), seed=(seed, 0))
    check_buckets(buckets)
    corpus = short_enough(corpus, max_frames)
    groups = speech_by(corpus, within)
    sources = tuple(group for group in groups if group.recordings >= support + query)
    if not sources:
        raise ValueError(too_few(groups, f"support + query = {support} + {query}", support + query, within))
    frames = corpus.length[np.concatenate([source.rows for source in sources])]
    lengths = lengths_of_batches(frames, tasks * (support + query), buckets)
    labels = encode_column(corpus, vocabulary, column)
    return UtteranceSampler(corpus, labels, support, query, tasks, seed, lengths, sources)


@dataclass(frozen=True)
class BatchSampler:
    """`sampler(index) -> Episode`, a batch for plain supervised training; made by `batch_sampler`."""

    corpus: Corpus
    labels: Ragged
    """Of each row of the corpus: values [R, L], lengths [R]."""
    seed: int
    lengths: tuple[int, ...]
    """The padded length T of each bucket, ascending."""
    sizes: tuple[int, ...]
    """Utterances of a batch from each bucket."""
    members: tuple[np.ndarray, ...]
    """Rows of the corpus in each bucket."""
    batches: int
    """Batches of an epoch, in which every utterance comes up about once."""

    def __call__(self, index: int) -> Episode:
        """Batch `index` as an episode of one task, whose support and query are both that batch.

        Returns:
          Episode: inputs are Ragged with values [1, size, T, F] float32 and lengths [1, size] int32; targets are
            Ragged with values [1, size, L] and lengths [1, size], int32; weight [1, size] float32 ones.
        """
        rows, padded = self.rows(index)
        batch = batch_of(self.corpus, self.labels, rows[None], padded)
        return Episode(batch, batch)

    def rows(self, index: int) -> tuple[np.ndarray, int]:
        """The rows of `corpus` in batch `index`, [size], and their padded length."""
        check_ranges(index=(index, 0))
        epoch, place = divmod(index, self.batches)
        rng = np.random.default_rng([self.seed, epoch])
        share = np.cumsum([len(rows) / size for rows, size in zip(self.members, self.sizes, strict=True)])
        # Systematic sampling: as many batches of each bucket as it fills, rounded up or down by this epoch's luck.
        points = (np.arange(self.batches) + rng.random()) * share[-1] / self.batches
        buckets = np.searchsorted(share, points, side="right")
        number = rng.permutation(self.batches)[place]
        bucket = int(buckets[number])
        nth = int(number - np.searchsorted(buckets, bucket))
        order = np.random.default_rng([self.seed, epoch, bucket]).permutation(self.members[bucket])
        size = self.sizes[bucket]
        return order.take(np.arange(nth * size, (nth + 1) * size), mode="wrap"), self.lengths[bucket]


def batch_sampler(
    corpus: Corpus,
    vocabulary: Labels,
    *,
    seed: int,
    size: int | None = None,
    frames_per_batch: int | None = None,
    buckets: int = 4,
    max_frames: int | None = None,
    column: str = "transcription",
) -> BatchSampler:
    """Batches of utterances of similar length, in an order that is shuffled anew for every epoch.

    The buckets are those that pad the least, each of at least one batch. An epoch visits each utterance once, but for
    the end of each bucket, which it fills with utterances it had, or leaves to later epochs.

    Args:
      corpus: select the rows of a split, and those that CTC can align (`drop_infeasible`), first.
      vocabulary: of the texts.
      seed: 0 or more.
      size: utterances of a batch, 1 to all; give this or `frames_per_batch`.
      frames_per_batch: the most frames of a batch, padding included: a bucket of short utterances gets more of them.
      buckets: the largest number of padded lengths, 1 to 4.
      max_frames: longer utterances are left out; None: none are.
      column: the column of the texts; "translation" for translation.
    Raises:
      ValueError: both or none of size and frames_per_batch, or no room in a batch; else as `utterance_sampler`.
    """
    check_ranges(seed=(seed, 0))
    check_buckets(buckets)
    corpus = short_enough(corpus, max_frames)
    possible = np.unique(round_up(corpus.length))
    if (size is None) == (frames_per_batch is None):
        raise ValueError(f"give size or frames_per_batch, not both; got {size} and {frames_per_batch}.")
    if size is not None and not 1 <= size <= len(corpus):
        raise ValueError(f"size must lie in [1, {len(corpus)}], the number of utterances, got {size}.")
    if frames_per_batch is not None and frames_per_batch < possible[-1]:
        raise ValueError(
            f"frames_per_batch={frames_per_batch} is less than the longest utterance padded, {possible[-1]}; raise it, "
            "or leave long utterances out with max_frames."
        )
    sizes = np.full(len(possible), size) if size else np.minimum(frames_per_batch // possible, len(corpus))
    lengths = lengths_of_clips(corpus.length, buckets, sizes)
    sizes = sizes[np.searchsorted(possible, lengths)]
    bucket = np.searchsorted(lengths, corpus.length)
    members = tuple(np.flatnonzero(bucket == number) for number in range(len(lengths)))
    batches = max(1, round(sum(len(rows) / size for rows, size in zip(members, sizes, strict=True))))
    labels = encode_column(corpus, vocabulary, column)
    return BatchSampler(corpus, labels, seed, lengths, tuple(sizes.tolist()), members, batches)
