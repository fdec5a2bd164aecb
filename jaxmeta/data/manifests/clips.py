"""Clips: a whole file of audio, or the piece of one that begins and ends at given seconds."""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

START, DURATION = "start", "duration"
"""Columns of a manifest whose rows are pieces of recordings, in seconds. `duration` alone is only said of a file."""
_DECIMAL = re.compile(r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST = 1e9
"""Seconds that no recording reaches: 30 years."""


class Clip(NamedTuple):
    """Where audio lies."""

    path: str
    start: float = 0.0
    """Seconds from the beginning of the file."""
    duration: float | None = None
    """Seconds, above 0; None: to the end of the file."""

    @property
    def whole(self) -> bool:
        """Whether it is all of the file."""
        return self.start == 0 and self.duration is None


def as_clip(audio: str | os.PathLike[str] | Clip) -> Clip:
    """The clip itself, or all of the file of that path."""
    return audio if isinstance(audio, Clip) else Clip(os.fspath(audio))


def clip_seconds(column: str, cell: str) -> float | None:
    """Seconds that a cell of the column `start` or `duration` says; None: it says nothing.

    Raises:
      ValueError: it is no number, below 0, not finite, or a duration of 0; says what it must be.

    >>> clip_seconds("start", "12.50"), clip_seconds("duration", "")
    (12.5, None)
    """
    if not cell:
        return None
    value = float(cell) if _DECIMAL.fullmatch(cell) else -1.0
    if not 0 <= value <= _LONGEST or (column == DURATION and value == 0):
        least = "above 0" if column == DURATION else "of 0 or more"
        raise ValueError(f"{column} {cell[:40]!r} must be a number of seconds {least}, such as 12.5, or empty")
    return value


def clips_of(folder: str | os.PathLike[str], columns: Mapping[str, np.ndarray]) -> list[Clip]:
    """The clips that the columns of a manifest name, in row order.

    Args:
      folder: that `file_name` is relative to.
      columns: `file_name`, and perhaps `start` and `duration`.
    Raises:
      ValueError: as `clip_seconds`.
    """
    root = os.fspath(folder)
    paths = [os.path.join(root, name) for name in columns["file_name"].tolist()]
    if START not in columns:
        return [Clip(path) for path in paths]
    starts = [clip_seconds(START, cell) or 0.0 for cell in columns[START].tolist()]
    ends = columns[DURATION].tolist() if DURATION in columns else [""] * len(paths)
    durations = [clip_seconds(DURATION, cell) for cell in ends]
    return [Clip(*parts) for parts in zip(paths, starts, durations, strict=True)]
