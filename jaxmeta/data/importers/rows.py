"""What a list of recordings says of one of them, or why a row of it is of no use."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

TEXT, SPEAKER, LANGUAGE, LABEL = "transcription", "speaker", "language", "label"
"""Columns of a manifest that have a meaning, see docs/data.md."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Row(NamedTuple):
    """A recording, or a piece of one, as a list names it."""

    file: Path
    """The list."""
    number: int
    """Line or row there, or the number of an annotation, counted from 1."""
    audio: str
    """Path of the recording, as it is written there."""
    columns: dict[str, str]
    """What is said of it, by the column of a manifest."""
    start: float = 0.0
    """Seconds."""
    duration: float | None = None
    """Seconds; None: to the end."""
    base: Path | None = None
    """The folder that the path is relative to; None: that of the list."""


class Rejection(NamedTuple):
    """A row that cannot be used."""

    file: Path
    number: int
    reason: str


class SourceError(ValueError):
    """A list of recordings cannot be read at all; the message names it and says what to do."""


def number(text: object) -> float:
    """A number as lists write them.

    Raises:
      ValueError: it is none.

    >>> number(" 1.50")
    1.5
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        try:
            return float(text)
        except OverflowError:
            raise ValueError("a whole number of more than 308 digits is no number of seconds") from None
    if not isinstance(text, str) or not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{str(text)[:40]!r} is no number of seconds")
    return float(text)


def between(start: object, end: object) -> tuple[float, float]:
    """Start and duration of what lies between two times in seconds.

    Raises:
      ValueError: a time is no number, or the end does not come after the start.

    >>> between("0.5", "2")
    (0.5, 1.5)
    """
    first, last = number(start), number(end)
    if not last > first:
        raise ValueError(f"ends at {last:g} s, which is not after its start at {first:g} s")
    return first, round(last - first, 9)  # Nanoseconds: 0.3 - 0.1 is to be 0.2.


def cell(value: Any) -> str:
    """A value of JSON as the cell of a manifest: text as it is, nothing for null, lists and objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def objects(
    lines: Iterator[tuple[int, str] | Rejection], file: Path
) -> Iterator[tuple[int, dict[str, Any]] | Rejection]:
    """The JSON objects of a list with one a line; blank lines are no rows."""
    for item in lines:
        if isinstance(item, Rejection):
            yield item
            continue
        place, line = item
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            yield Rejection(file, place, f"not JSON ({str(error)[:100] or 'nested too deeply'})")
            continue
        if not isinstance(value, dict):
            yield Rejection(file, place, f"{line.strip()[:40]!r} is no JSON object")
            continue
        yield place, value


def renamed(values: Mapping[str, Any], names: Mapping[str, str], consumed: frozenset[str]) -> dict[str, str]:
    """Cells by column: keys under the names that a manifest has for them, others as they are, some left out.

    Args:
      values: of a row, by the key of its format.
      names: key -> column. The first key that is there, and not empty, gives the column.
      consumed: keys that are said elsewhere.
    """
    columns: dict[str, str] = {}
    for key, column in names.items():
        if key in values and not columns.get(column):
            columns[column] = cell(values[key])
    taken = consumed | set(names)
    return columns | {key: cell(value) for key, value in values.items() if key not in taken and key not in columns}


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
