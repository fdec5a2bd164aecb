"""Cuts of Lhotse: a JSON object a line, perhaps packed by gzip.

Source: lhotse.cut, `MonoCut`: a stretch of a recording with supervisions, whose times count from its start.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxmeta.data.importers.rows import (
    LANGUAGE,
    SPEAKER,
    TEXT,
    Rejection,
    Row,
    cell,
    number,
    objects,
    renamed,
)  # fmt: skip
from jaxmeta.data.importers.texts import lenient_lines

_NAMES = {"text": TEXT, "speaker": SPEAKER, "language": LANGUAGE}
_CONSUMED = frozenset({"recording_id", "start", "duration", "channel", "custom", "alignment"})


def read(path: Path) -> Iterator[Row | Rejection]:
    """A row for each supervision of a cut, or for the cut itself where there is none.

    Cuts that are mixed, padded, changed in speed, or of one channel of several are rejected.
    """
    for item in objects(lenient_lines(path), path):
        if isinstance(item, Rejection):
            yield item
            continue
        place, cut = item
        try:
            yield from _rows(path, place, cut)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"the cut has no {error}" if isinstance(error, KeyError) else str(error)
            yield Rejection(path, place, reason)


def _rows(path: Path, place: int, cut: dict[str, Any]) -> list[Row]:
    kind = cut.get("type", "MonoCut")
    if kind != "MonoCut":
        raise ValueError(f"is a {kind}, and only MonoCut is read; write the audio of the cuts first")
    audio, start = _source(cut["recording"]), number(cut["start"])
    supervisions = cut.get("supervisions") or []
    own = {"custom": cell(cut["custom"])} if cut.get("custom") else {}
    if len(supervisions) < 2:
        said = renamed(supervisions[0], _NAMES, _CONSUMED) if supervisions else {"id": cell(cut["id"])}
        return [Row(path, place, audio, said | own, start, number(cut["duration"]))]
    return [
        Row(
            path, place, audio, renamed(each, _NAMES, _CONSUMED) | own, round(start + number(each["start"]), 9),
            number(each["duration"]),
        )
        for each in supervisions
    ]  # fmt: skip


def _source(recording: dict[str, Any]) -> str:
    sources = recording["sources"]
    if len(sources) != 1 or len(sources[0]["channels"]) != 1:
        raise ValueError("the recording has several channels; part them into files of their own first")
    if recording.get("transforms"):
        raise ValueError("the recording is transformed as it is read; write the audio of the cuts first")
    if sources[0]["type"] != "file":
        raise ValueError(f"the recording comes from a {sources[0]['type']}, and only files are read")
    return str(sources[0]["source"])
