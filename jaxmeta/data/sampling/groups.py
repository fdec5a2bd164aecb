"""What few-shot episodes can be drawn from: the recordings of a corpus by group, class and speaker, counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus

Columns = str | tuple[str, ...]
_SPLITS = 256  # ways to part the speakers of one group that are kept; all of them, up to 8 speakers


class ClassRecordings(NamedTuple):
    """The recordings of one class in one group; copies of a recording (augmented, say) are neighbours in `rows`."""

    rows: np.ndarray
    """Rows of the corpus, [n]."""
    first: np.ndarray
    """Where the copies of each recording begin in `rows`, then n, [recordings + 1]."""
    part: np.ndarray
    """The speaker (value of `disjoint`) of each recording, as an index into the group's, [recordings]."""


class Group(NamedTuple):
    """What one episode draws from: the clips that share a value of `within`."""

    name: tuple[str, ...]
    classes: list[ClassRecordings]
    splits: np.ndarray | None
    """Ways to part the speakers, [M, speakers] bool, True for support; None: recordings are parted freely."""
    counts: np.ndarray
    """Recordings of each class on the support and the query side of each split, [2, M, classes]."""

    def eligible(self, shots: int, queries: int) -> np.ndarray:
        """Which classes can be drawn under each split, [M, classes] bool."""
        if self.splits is None:
            return self.counts[0] >= shots + queries
        return (self.counts[0] >= shots) & (self.counts[1] >= queries)

    def ways(self, shots: int, queries: int) -> int:
        """The largest number of classes that an episode of this group can have."""
        return int(self.eligible(shots, queries).sum(1).max(initial=0))


def find_groups(corpus: Corpus, label: Columns, within: Columns | None, disjoint: Columns | None) -> list[Group]:
    """The groups of a corpus, ordered by name.

    A recording is identified by the column "recording", or else by "corpus" and "file_name" as far as they exist.

    Args:
      corpus: clips with columns.
      label: column, or columns, whose values are the classes.
      within: column or columns whose values all clips of an episode share; None: one group holds everything.
      disjoint: column or columns whose values support and query do not share; None: only recordings are kept apart.
    Raises:
      ValueError: a column is missing, the corpus is empty, a label has one recording, or copies of a recording
        differ in `disjoint`.
    """
    rows = np.arange(len(corpus.length))
    if not rows.size:
        raise ValueError("the corpus has no rows, so there is nothing to draw episodes from; check its selection.")
    recording = _recording(corpus)
    labels, label_names = codes(corpus, label, "label")
    _check_singletons(corpus, labels, label_names, recording)
    group, names = codes(corpus, within, "within") if within else (np.zeros_like(rows), [()])
    part = codes(corpus, disjoint, "disjoint")[0] if disjoint else None
    if disjoint and part is not None:
        _check_copies(corpus, disjoint, part, recording)
    order = np.lexsort((rows, recording, labels, group))
    cuts = np.searchsorted(group[order], np.arange(1, len(names)))
    return [
        _group(name, members, labels, recording, part)
        for name, members in zip(names, np.split(order, cuts), strict=True)
    ]


def codes(corpus: Corpus, columns: Columns, argument: str) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """The value of one or more columns in each row, as an index [R] into the list of distinct values (tuples)."""
    columns = (columns,) if isinstance(columns, str) else columns
    missing = [column for column in columns if column not in corpus.columns]
    if missing:
        raise ValueError(f"{argument}: the corpus has no column {missing[0]!r}; it has {sorted(corpus.columns)}.")
    for column in columns:
        if (empty := np.flatnonzero(corpus.columns[column] == "")).size:
            raise ValueError(
                f"{argument}: column {column!r} is empty in {empty.size} of {len(corpus.length)} rows, first in row "
                f"{empty[0]}; fill it with Corpus.with_column, or leave those rows out with Corpus.select."
            )
    pairs = [np.unique(np.asarray(corpus.columns[column]), return_inverse=True) for column in columns]
    combined, inverse = np.unique(np.stack([index for _, index in pairs], 1), axis=0, return_inverse=True)
    names = [tuple(str(values[i]) for (values, _), i in zip(pairs, row, strict=True)) for row in combined]
    return inverse.reshape(-1), names  # numpy 2.0 keeps the axis


def largest_feasible(groups: Iterable[Group], ways: int, shots: int, queries: int) -> list[tuple[int, int, int]]:
    """The largest (ways, shots, queries) up to the request: by ways first, then shots; and by shots and queries first.

    Empty if no group can give an episode of two classes.
    """
    groups = list(groups)

    def most(shots: int, queries: int) -> int:
        return max(group.ways(shots, queries) for group in groups)

    shapes = []
    if (best_ways := min(ways, most(1, 1))) >= 2:
        best_shots = max(s for s in range(1, shots + 1) if most(s, 1) >= best_ways)
        best_queries = max(q for q in range(1, queries + 1) if most(best_shots, q) >= best_ways)
        shapes.append((best_ways, best_shots, best_queries))
    if (fewer := min(ways, most(shots, queries))) >= 2 and (fewer, shots, queries) not in shapes:
        shapes.append((fewer, shots, queries))
    return shapes


def _recording(corpus: Corpus) -> np.ndarray:
    if "recording" in corpus.columns:
        return codes(corpus, "recording", "recording")[0]
    identity = tuple(column for column in ("corpus", "file_name", "start", "duration") if column in corpus.columns)
    if "file_name" not in identity:
        raise ValueError(f"recordings need a column 'recording' or 'file_name'; there are {sorted(corpus.columns)}.")
    return codes(corpus, identity, "recording")[0]


def _check_singletons(corpus: Corpus, labels: np.ndarray, names: list[tuple[str, ...]], recording: np.ndarray) -> None:
    per_label = np.bincount(np.unique(np.stack([labels, recording], 1), axis=0)[:, 0])
    single = np.flatnonzero(per_label == 1)
    if single.size:
        row = int(np.flatnonzero(labels == single[0])[0])
        raise ValueError(
            f"label {'/'.join(names[single[0]])!r} has one recording, {_name(corpus, row)}, and an episode needs one "
            f"for support and another for query; {single.size} of {len(names)} labels are like this: record more, or "
            "leave them out with Corpus.select."
        )


def _group(
    name: tuple[str, ...], rows: np.ndarray, labels: np.ndarray, recording: np.ndarray, part: np.ndarray | None
) -> Group:
    """One group from its rows, which are sorted by label and then by recording."""
    new_label = np.diff(labels[rows], prepend=-1) != 0
    new_recording = np.diff(recording[rows], prepend=-1) != 0
    if part is None and np.count_nonzero(new_label | new_recording) > len(np.unique(recording[rows])):
        # A recording under two labels could be support in one class and query in the other: part by recording.
        part = recording
    if part is None:
        speaker, speakers = np.zeros(len(rows), int), 0
    else:
        names, speaker = np.unique(part[rows], return_inverse=True)
        speakers = len(names)
    starts = np.flatnonzero(new_label)[1:]
    classes = []
    for members, theirs in zip(np.split(rows, starts), np.split(speaker, starts), strict=True):
        first = np.flatnonzero(np.diff(recording[members], prepend=-1))
        classes.append(ClassRecordings(members, np.append(first, len(members)), theirs[first]))
    splits = _splits(speakers) if part is not None else None
    return Group(name, classes, splits, _counts(classes, splits, speakers))


def _counts(classes: list[ClassRecordings], splits: np.ndarray | None, speakers: int) -> np.ndarray:
    if splits is None:
        return np.array([[[len(each.part) for each in classes]]] * 2)
    per_speaker = np.stack([np.bincount(each.part, minlength=speakers) for each in classes])
    # As floats, which numpy multiplies far faster and which are exact up to 2 ** 24 recordings.
    support = (splits.astype(np.float32) @ per_speaker.T.astype(np.float32)).astype(int)
    return np.stack([support, per_speaker.sum(1) - support])


def _splits(speakers: int) -> np.ndarray:
    """Ways to give some speakers to the support set and the others to the query set, [M, speakers] bool."""
    if 2**speakers - 2 <= _SPLITS:
        every = np.array(list(itertools.product([False, True], repeat=speakers)), bool).reshape(-1, speakers)
        return every[1:-1]
    # Any size is as likely as another, so that 1 shot against 15 queries is found as well as 5 against 5.
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, speakers, _SPLITS)
    return np.argsort(rng.random((_SPLITS, speakers)), axis=1) < sizes[:, None]


def _check_copies(corpus: Corpus, disjoint: Columns, part: np.ndarray, recording: np.ndarray) -> None:
    """One recording on one side only needs one value of `disjoint` for all of its copies."""
    pairs = np.unique(np.stack([recording, part], 1), axis=0)[:, 0]
    twice = np.flatnonzero(np.diff(pairs) == 0)
    if twice.size:
        row = int(np.flatnonzero(recording == pairs[twice[0]])[0])
        raise ValueError(
            f"disjoint={disjoint!r}: the copies of {_name(corpus, row)} have different values; give them one."
        )


def _name(corpus: Corpus, row: int) -> str:
    """A row of the corpus as an error message shows it."""
    column = next(name for name in ("file_name", "recording") if name in corpus.columns)
    return f"recording {str(corpus.columns[column][row])!r} (row {row} of the corpus)"
