"""Manifests of NVIDIA NeMo: a JSON object a line.

Source: NeMo's documentation, "ASR datasets": audio_filepath, duration, text, offset and any other keys.
"""

from collections.abc import Iterator
from pathlib import Path

from jaxmeta.data.importers.rows import LABEL, LANGUAGE, SPEAKER, TEXT, Rejection, Row, number, objects, renamed
from jaxmeta.data.importers.texts import lenient_lines

_NAMES = {"text": TEXT, "speaker": SPEAKER, "lang": LANGUAGE, "language": LANGUAGE, "command": LABEL, "label": LABEL}
_CONSUMED = frozenset({"audio_filepath", "duration", "offset"})


def read(path: Path) -> Iterator[Row | Rejection]:
    """The recordings of a manifest; `offset` and `duration` say which piece of a file each is."""
    for item in objects(lenient_lines(path), path):
        if isinstance(item, Rejection):
            yield item
            continue
        place, values = item
        audio = values.get("audio_filepath")
        if not isinstance(audio, str) or not audio:
            yield Rejection(path, place, "no audio_filepath")
            continue
        try:
            start = number(values["offset"]) if values.get("offset") is not None else 0.0
            duration = number(values["duration"]) if values.get("duration") is not None else None
        except ValueError as error:
            yield Rejection(path, place, str(error))
            continue
        yield Row(path, place, audio, renamed(values, _NAMES, _CONSUMED), start, duration)
