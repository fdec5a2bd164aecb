"""Clips of a corpus as padded arrays, and the few lengths to pad them to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmeta.padding import Clips
from jaxmeta.types import Ragged

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus

MULTIPLE = 8
"""Padded lengths are multiples of this."""


def round_up(lengths: Any) -> np.ndarray:
    """Each length as the next multiple of `MULTIPLE`, and at least one of them.

    >>> round_up([0, 3, 8, 9]).tolist()
    [8, 8, 8, 16]
    """
    return MULTIPLE * np.maximum(1, -(-np.asarray(lengths) // MULTIPLE))


def cropped(corpus: Corpus, rows: np.ndarray, max_frames: int | None = None) -> np.ndarray:
    """Frames of each row, int32 in the shape of `rows`, at most `max_frames` where that is given."""
    lengths = corpus.length[rows].astype(np.int32)
    return lengths if max_frames is None else np.minimum(lengths, max_frames)


def gather(corpus: Corpus, rows: np.ndarray, padded: int, max_frames: int | None = None) -> Ragged:
    """The frames of some rows: values [*rows.shape, padded, F] float32, 0 beyond a clip; lengths int32 [*rows.shape].

    Args:
      rows: rows of the corpus, in any shape.
      padded: at least as long as the longest of them.
      max_frames: crops longer clips to their middle; None: clips are whole.
    """
    frames, (start, lengths) = corpus.frames, _places(corpus, rows, max_frames)
    values: Any = np.zeros((rows.size, padded, frames.shape[1]), np.float32)
    for clip, first, length in zip(values, start.flat, lengths.flat, strict=True):
        clip[:length] = frames[first : first + length]
    return Ragged(values.reshape(*rows.shape, padded, frames.shape[1]), lengths)  # type: ignore[arg-type]


def places(corpus: Corpus, rows: np.ndarray, padded: int, max_frames: int | None = None) -> Clips:
    """Where in the frames of a corpus its rows are, for `look_up`, which then gives what `gather` does."""
    start, lengths = _places(corpus, rows, max_frames)
    return Clips(start.astype(np.int32), lengths, np.arange(padded, dtype=np.int32))  # type: ignore[arg-type]


def _places(corpus: Corpus, rows: np.ndarray, max_frames: int | None) -> tuple[np.ndarray, np.ndarray]:
    lengths = cropped(corpus, rows, max_frames)
    # A crop keeps the middle: the ends of a clip are silence before they are speech.
    return corpus.start[rows] + (corpus.length[rows] - lengths) // 2, lengths


def lengths_of_batches(frames: np.ndarray, clips: int, buckets: int) -> tuple[int, ...]:
    """Lengths such that the longest of `clips` clips falls under each about as often; the last one holds every clip."""
    shares = (np.arange(buckets) + 1) / buckets
    # The longest of n clips lies below the clips' quantile q with probability q ** n.
    quantiles = np.quantile(frames, shares ** (1 / clips), method="higher")
    return tuple(sorted(set(round_up(quantiles.astype(int)).tolist())))


def lengths_of_clips(frames: np.ndarray, buckets: int, least: np.ndarray | int = 1) -> tuple[int, ...]:
    """At most `buckets` lengths that clips, each padded to the next one, fill with the fewest frames in all.

    Args:
      frames: of each clip, [R].
      buckets: 1 or more.
      least: clips that a length must serve, or all of them if they are fewer; one number, or one for each possible
        length, which are the sorted distinct values of `round_up(frames)`.

    >>> lengths_of_clips(np.array([10, 11, 50, 52]), buckets=2)
    (16, 56)
    """
    lengths, counts = np.unique(round_up(frames), return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])
    # [i, j]: clips in a bucket of the lengths i to j, of which there is none for i > j.
    clips = below[None, 1:] - below[:-1, None]
    cost = np.where(clips >= np.minimum(least, len(frames)), clips * lengths.astype(float), np.inf)
    totals, cuts = [cost[0]], []
    for _ in range(min(buckets, len(lengths)) - 1):
        options = totals[-1][:-1, None] + cost[1:]
        cuts.append(options.argmin(axis=0))
        totals.append(options.min(axis=0))
    used = int(np.argmin([total[-1] for total in totals]))
    ends = [len(lengths) - 1]
    for cut in reversed(cuts[:used]):
        ends.append(int(cut[ends[-1]]))
    return tuple(lengths[ends[::-1]].tolist())


def check_ranges(**arguments: tuple[int, int]) -> None:
    """Raise ValueError, naming the argument, unless each value of (value, least) is at least that."""
    for name, (value, least) in arguments.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}.")


def check_buckets(buckets: int) -> None:
    """Raise ValueError unless there are 1 to 4 padded lengths."""
    check_ranges(buckets=(buckets, 1))
    if buckets > 4:
        raise ValueError(f"buckets must be at most 4, got {buckets}: every padded length compiles the program again.")
