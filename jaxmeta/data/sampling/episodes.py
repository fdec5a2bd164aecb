"""Few-shot episodes from a corpus, as a pure function of an index.

There is no iterator state: task n depends on (seed, n) alone, so the data position in a checkpoint is an integer and
the same episodes come back for any caller, in any order, in batches of any size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxmeta.data.sampling.groups import ClassRecordings, Columns, Group, find_groups, largest_feasible
from jaxmeta.data.sampling.padding import check_buckets, check_ranges, cropped, gather, lengths_of_batches, places
from jaxmeta.types import Batch, Episode

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus


class _Source(NamedTuple):
    """A group that can give the episodes asked for."""

    classes: list[ClassRecordings]
    splits: np.ndarray | None
    """Ways to part the speakers that leave enough classes, [M, speakers] bool, True for support."""
    eligible: np.ndarray
    """Which classes have enough recordings on both sides, [M, classes] bool."""


@dataclass(frozen=True)
class EpisodeSampler:
    """`sampler(index) -> Episode`, a batch of tasks as numpy arrays; made by `episode_sampler`."""

    corpus: Corpus
    ways: int
    shots: int
    queries: int
    tasks: int
    seed: int
    lengths: tuple[int, ...]
    """The padded lengths, ascending: every batch has one of them, so a program compiles that often at most."""
    max_frames: int | None
    sources: tuple[_Source, ...]
    probability: np.ndarray
    """Of each source, [sources]."""

    def __call__(self, index: int) -> Episode:
        """The batch of tasks index * tasks to (index + 1) * tasks - 1.

        Returns:
          Episode: inputs are Ragged with values [tasks, N, T, F] float32 and lengths [tasks, N] int32, where N is
            ways * shots or ways * queries and T, the same for both, one of `lengths`; targets [tasks, N] int32 in
            [0, ways), grouped by class; weight [tasks, N] float32 ones. Frames beyond a clip's length are 0.
        """
        return self.part(index, 0, self.tasks)

    def size(self, index: int) -> int:
        """Tasks in a batch."""
        return self.tasks

    def clips(self, index: int) -> Episode:
        """Batch `index` with `Clips` of the frames of the corpus in the place of its inputs."""
        return self.part(index, 0, self.tasks, places)

    def part(self, index: int, first: int, last: int, inputs: Callable[..., Any] = gather) -> Episode:
        """Tasks first to last - 1 of batch `index`, padded as the whole of it is; inputs by `gather` or `places`."""
        support, query = self.rows(index)
        longest = max(int(cropped(self.corpus, rows, self.max_frames).max()) for rows in (support, query))
        padded = next(length for length in self.lengths if length >= longest)
        support, query = support[first:last], query[first:last]
        of = partial(inputs, self.corpus, padded=padded, max_frames=self.max_frames)
        return Episode(self._batch(support, self.shots, of), self._batch(query, self.queries, of))

    def rows(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the corpus in batch `index`: support [tasks, ways * shots] and query [tasks, ways * queries]."""
        if index < 0:
            raise ValueError(f"index must be 0 or more, got {index}.")
        drawn = [self._task(index * self.tasks + task) for task in range(self.tasks)]
        return np.stack([support for support, _ in drawn]), np.stack([query for _, query in drawn])

    def _task(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, number])
        source = self.sources[rng.choice(len(self.sources), p=self.probability)]
        split = rng.integers(len(source.eligible))
        support_side = None if source.splits is None else source.splits[split]
        classes = rng.choice(np.flatnonzero(source.eligible[split]), self.ways, replace=False)
        drawn = [_draw(rng, source.classes[c], self.shots, self.queries, support_side) for c in classes]
        return np.concatenate([support for support, _ in drawn]), np.concatenate([query for _, query in drawn])

    def _batch(self, rows: np.ndarray, each: int, inputs: Callable[[np.ndarray], Any]) -> Batch:
        targets: Any = np.tile(np.repeat(np.arange(self.ways, dtype=np.int32), each), (len(rows), 1))
        weight: Any = np.ones(rows.shape, np.float32)
        return Batch(inputs(rows), targets, weight)


def episode_sampler(
    corpus: Corpus,
    *,
    ways: int,
    shots: int,
    queries: int,
    tasks: int,
    seed: int,
    label: Columns = "label",
    within: Columns | None = None,
    disjoint: Columns | None = None,
    weights: Mapping[str, float] | None = None,
    max_frames: int | None = None,
    buckets: int = 4,
) -> EpisodeSampler:
    """N-way K-shot tasks over any label of a corpus; support and query never share a recording.

    Classes with too few recordings for an episode are never drawn. A recording is identified by the column
    "recording" if there is one (so that augmented copies stay on one side), or else by "corpus" and "file_name".

    Args:
      corpus: clips with columns; select the rows of a split first.
      ways: classes of an episode, 2 or more.
      shots: support clips of each class, 1 or more, each of another recording.
      queries: query clips of each class, 1 or more, each of another recording.
      tasks: episodes of a batch, 1 or more.
      seed: 0 or more; another seed gives other episodes.
      label: column or columns whose values are the classes: words, speakers, languages.
      within: column or columns whose values all clips of an episode share, such as "speaker"; a group of clips is
        drawn first, each as likely as another.
      disjoint: column or columns whose values support and query do not share, such as "speaker".
      weights: relative weight of each value of (the first column of) `within`, shared by its groups.
      max_frames: crops longer clips to their middle; None: clips are whole.
      buckets: the largest number of padded lengths, 1 to 4.
    Raises:
      ValueError: no group has the recordings, classes or speakers, with their counts and the largest feasible
        (ways, shots, queries); a label with one recording; a missing column; an argument out of its range.
    """
    check_ranges(ways=(ways, 2), shots=(shots, 1), queries=(queries, 1), tasks=(tasks, 1), seed=(seed, 0))
    check_ranges(max_frames=(1 if max_frames is None else max_frames, 1))
    check_buckets(buckets)
    groups = find_groups(corpus, label, within, disjoint)
    feasible = [group for group in groups if group.ways(shots, queries) >= ways]
    if not feasible:
        raise ValueError(_infeasible(groups, ways, shots, queries, label, within, disjoint))
    probability = _probabilities(feasible, weights, within)
    sources = tuple(_source(group, ways, shots, queries) for group in feasible)
    rows = np.concatenate([_drawable(source) for source in sources])
    lengths = lengths_of_batches(cropped(corpus, rows, max_frames), tasks * ways * (shots + queries), buckets)
    return EpisodeSampler(corpus, ways, shots, queries, tasks, seed, lengths, max_frames, sources, probability)


def _draw(
    rng: np.random.Generator, of_class: ClassRecordings, shots: int, queries: int, support_side: np.ndarray | None
):
    """Rows of one class for support [shots] and query [queries], each of another recording."""
    recordings = len(of_class.part)
    if support_side is None:
        both = rng.choice(recordings, shots + queries, replace=False)
    else:
        side = support_side[of_class.part]
        support = rng.choice(np.flatnonzero(side), shots, replace=False)
        both = np.concatenate([support, rng.choice(np.flatnonzero(~side), queries, replace=False)])
    if recordings == len(of_class.rows):
        rows = of_class.rows[both]
    else:
        rows = of_class.rows[rng.integers(of_class.first[both], of_class.first[both + 1])]
    return rows[:shots], rows[shots:]


def _source(group: Group, ways: int, shots: int, queries: int) -> _Source:
    eligible = group.eligible(shots, queries)
    enough = eligible.sum(1) >= ways
    return _Source(group.classes, None if group.splits is None else group.splits[enough], eligible[enough])


def _drawable(source: _Source) -> np.ndarray:
    """The rows that an episode of this source can hold."""
    return np.concatenate([source.classes[c].rows for c in np.flatnonzero(source.eligible.any(0))])


def _probabilities(groups: list[Group], weights: Mapping[str, float] | None, within: Columns | None) -> np.ndarray:
    if weights is None:
        return np.full(len(groups), 1 / len(groups))
    if within is None:
        raise ValueError("weights are of the values of `within`, which is None; name its column.")
    first = [group.name[0] for group in groups]
    share = np.array([weights.get(name, -1) for name in first], float)
    if set(first) != set(weights) or not np.all(np.isfinite(share) & (share >= 0)) or not share.any():
        raise ValueError(
            f"weights must give each value of within={within!r} that has enough recordings a number of 0 or more, and "
            f"not all 0: these are {sorted(set(first))}; got {dict(weights)}."
        )
    share /= np.array([first.count(name) for name in first])
    return share / share.sum()


def _infeasible(groups: list[Group], ways: int, shots: int, queries: int, label, within, disjoint) -> str:
    best = max(groups, key=lambda group: (group.ways(shots, queries), group.ways(1, 1), len(group.classes)))
    recordings = [len(each.part) for each in best.classes]
    where = f"the best of {len(groups)} values of {within!r}, {'/'.join(best.name)!r}," if within else "the corpus"
    parted = "" if best.splits is None else f"; {best.splits.shape[1]} values of {disjoint or 'recording'!r}"
    offers = " or ".join(map(str, largest_feasible(groups, ways, shots, queries)))
    return (
        f"(ways, shots, queries) = ({ways}, {shots}, {queries}) needs {ways} values of {label!r} with {shots} + "
        f"{queries} recordings each{f' and no {disjoint!r} on both sides' if disjoint else ''}; {where} has "
        f"{best.ways(shots, queries)}. Its {len(recordings)} values of {label!r}, by recordings: {_summary(recordings)}"
        f"{parted}. " + (f"The largest feasible is {offers}." if offers else "No episode of two classes is feasible.")
    )


def _summary(recordings: list[int]) -> str:
    """Recordings of each class as "3 with 12, 1 with 2", the largest first."""
    counts = sorted(Counter(recordings).items(), reverse=True)
    text = ", ".join(f"{classes} with {each}" for each, classes in counts[:8])
    return text if len(counts) <= 8 else f"{text} and so on down to {counts[-1][0]}"
