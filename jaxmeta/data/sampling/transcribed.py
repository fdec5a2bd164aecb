"""What the samplers of transcribed speech share: its labels, its speakers, and batches of its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from jaxmeta.data.sampling.groups import Columns, codes
from jaxmeta.data.sampling.padding import check_ranges, gather
from jaxmeta.types import Batch, Ragged

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus


class Labels(Protocol):
    """What turns texts into labels, as a `Vocabulary` does."""

    def encode_rows(self, transcripts: Sequence[str] | np.ndarray, where: Callable[[int], str], /) -> Ragged: ...


class Speech(NamedTuple):
    """The recordings that share a value of `within`: those of one speaker, language or condition."""

    name: str
    """The values of the columns of `within`, with "/" between them."""
    rows: np.ndarray
    """Rows of the corpus, [n], the copies of a recording (augmented, say) side by side."""
    first: np.ndarray
    """Where the copies of each recording begin in `rows`, then n, [recordings + 1]."""

    @property
    def recordings(self) -> int:
        return len(self.first) - 1


def encode_column(corpus: Corpus, vocabulary: Labels, column: str = "transcription") -> Ragged:
    """The labels of a column of texts: values [R, L] int32, lengths [R] int32.

    Raises:
      ValueError: there is no such column, or as `Vocabulary.encode_rows`, naming the recording.
    """
    if column not in corpus.columns:
        raise ValueError(f"column: the corpus has no column {column!r}; it has {sorted(corpus.columns)}.")
    return vocabulary.encode_rows(corpus.columns[column], lambda row: recording_name(corpus, row))


def batch_of(corpus: Corpus, labels: Ragged, rows: np.ndarray, padded: int) -> Batch:
    """Some rows of a corpus [B, N] as a Batch with leaves [B, N, ...], padded to this length, of weight 1."""
    weight: Any = np.ones(rows.shape, np.float32)
    return Batch(gather(corpus, rows, padded), Ragged(labels.values[rows], labels.lengths[rows]), weight)


def speech_by(corpus: Corpus, within: Columns) -> list[Speech]:
    """The recordings of each value of one or more columns, ordered by value.

    Raises:
      ValueError: a column is missing or empty in some row, or the corpus has no column "recording".
    """
    group, names = codes(corpus, within, "within")
    recording, _ = codes(corpus, "recording", "recording")
    order = np.lexsort((np.arange(len(corpus)), recording, group))
    cuts = np.searchsorted(group[order], np.arange(1, len(names)))
    groups = []
    for name, rows in zip(names, np.split(order, cuts), strict=True):
        first = np.flatnonzero(np.diff(recording[rows], prepend=-1))
        groups.append(Speech("/".join(name), rows, np.append(first, len(rows))))
    return groups


def too_few(groups: list[Speech], wanted: str, number: int, within: Columns) -> str:
    """The message where no value of `within` has so many recordings."""
    most = sorted(groups, key=lambda group: -group.recordings)
    counts = ", ".join(f"{group.name!r} {group.recordings}" for group in most[:8])
    rest = f" and {len(most) - 8} values with no more" if len(most) > 8 else ""
    return (
        f"{wanted} needs a value of within={within!r} with {number} recordings; these have: {counts}{rest}. Ask for "
        "fewer, or name another column."
    )


def short_enough(corpus: Corpus, max_frames: int | None) -> Corpus:
    """The recordings of at most so many frames; None keeps all. Raises ValueError where none is left."""
    if max_frames is None:
        return corpus
    check_ranges(max_frames=(max_frames, 1))
    if not (keep := corpus.length <= max_frames).any():
        raise ValueError(f"max_frames={max_frames} leaves no utterance; the shortest has {corpus.length.min()} frames.")
    return corpus.select(keep)


def recording_name(corpus: Corpus, row: int) -> str:
    """A row of a corpus as messages show it."""
    name = next(column for column in ("file_name", "recording", *corpus.columns) if column in corpus.columns)
    return f"recording {str(corpus.columns[name][row])!r} (row {row} of the corpus)"
