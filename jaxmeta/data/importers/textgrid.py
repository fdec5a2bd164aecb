"""TextGrids of Praat, long and short, beside the recordings. Source: Praat's manual, "TextGrid file formats".

Both forms are the same values in the same order; the long one names each, in words that are skipped.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from jaxmeta.data.importers.recordings import beside, files_of
from jaxmeta.data.importers.rows import TEXT, Rejection, Row, SourceError, between
from jaxmeta.data.importers.texts import text

_VALUE = re.compile(r'"((?:[^"]|"")*)"|(?<![\w\[.])([+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)(?![\w\]])|<(exists)>')
"""A text in which quotes are doubled, or a number that is no index in brackets, or the flag."""


def read(path: Path) -> Iterator[Row | Rejection]:
    """The intervals with text of all tiers of a file, or of the files of a folder, with the name of the tier.

    Points, which last no time, are rejected.
    """
    for file in files_of(path, (".textgrid",)):
        try:
            marks = list(_marks(text(file)))
        except ValueError as error:
            if isinstance(error, SourceError):
                reason = str(error).removeprefix(f"{file}").lstrip(":, ")
            else:
                reason = f"not a whole TextGrid ({error})"
            yield Rejection(file, 1, reason)
            continue
        recording = beside(file)
        for place, (tier, start, end, said) in enumerate(marks, 1):
            if not said.strip():
                continue
            if recording is None:
                yield Rejection(file, place, f"there is no recording beside it, such as {file.stem}.wav")
                continue
            try:
                piece = between(start, end)
            except ValueError as error:
                yield Rejection(file, place, str(error))
                continue
            yield Row(file, place, recording.name, {TEXT: said, "tier": tier}, *piece)


def _marks(content: str) -> Iterator[tuple[str, float, float, str]]:
    """Tier, start, end and text of each interval and point."""
    values = (match for match in _VALUE.finditer(content))

    def following() -> re.Match[str]:
        match = next(values, None)
        if match is None:
            raise ValueError("it ends too soon")
        return match

    def words() -> str:
        match = following()
        if match[1] is None:
            raise ValueError(f"a text in quotes is missing before {match[0]!r}, character {match.start()}")
        return match[1].replace('""', '"')

    def numeral() -> float:
        match = following()
        if match[2] is None:
            raise ValueError(f"a number is missing before {match[0][:40]!r}, character {match.start()}")
        return float(match[2])

    def count() -> int:
        value = numeral()
        if not 0 <= value <= len(content):
            raise ValueError(f"{value:g} is no number of tiers or intervals")
        return int(value)

    if words() != "ooTextFile" or words() != "TextGrid":
        raise ValueError("it does not begin as one")
    numeral(), numeral()
    if following()[3] is None:
        return
    for _ in range(count()):
        kind, tier = words(), words()
        if kind not in ("IntervalTier", "TextTier"):
            raise ValueError(f"unknown kind of tier {kind[:40]!r}")
        numeral(), numeral()
        for _ in range(count()):
            start = numeral()
            yield tier, start, start if kind == "TextTier" else numeral(), words()
