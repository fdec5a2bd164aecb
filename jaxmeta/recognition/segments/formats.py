"""Transcripts with times as text, JSON lines, SubRip (srt) and WebVTT (vtt)."""

import json
from collections.abc import Sequence
from typing import Literal, NamedTuple

Format = Literal["text", "json", "srt", "vtt"]
SUFFIXES: dict[Format, str] = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}
JSON_VERSION = 1
"""Of the object that `json_line` writes: raised whenever a key changes its meaning or goes."""


class Segment(NamedTuple):
    """What is said in a stretch of a recording."""

    start: float
    """Seconds from the beginning of the recording; so is `end`."""
    end: float
    text: str


def joined(segments: Sequence[Segment]) -> str:
    """The text of a whole recording.

    >>> joined([Segment(0, 1, "well"), Segment(1, 2, ""), Segment(2, 3, "done")])
    'well done'
    """
    return " ".join(segment.text for segment in segments if segment.text)


def json_line(file: str, seconds: float, segments: Sequence[Segment]) -> str:
    """A recording as one line of JSON; segments without text are left out.

    >>> json_line("a.wav", 2.5, [Segment(0, 2.5, "hello")])
    '{"version": 1, "command": "transcribe", "file": "a.wav", "seconds": 2.5, "text": "hello", "segments": ...
    """
    parts = [{"start": round(start, 3), "end": round(end, 3), "text": text} for start, end, text in segments if text]
    row = {
        "version": JSON_VERSION,
        "command": "transcribe",
        "file": file,
        "seconds": round(seconds, 3),
        "text": joined(segments),
    }
    return json.dumps(row | {"segments": parts}, ensure_ascii=False, allow_nan=False) + "\n"


def header(format: Format) -> str:
    """What a file of a format begins with."""
    return "WEBVTT\n" if format == "vtt" else ""


def cue(format: Literal["srt", "vtt"], number: int, segment: Segment) -> str:
    """A subtitle.

    Args:
      format: whose marks of the text and of the time it has.
      number: from 1.
      segment: its text must not be empty.
    Source: www.w3.org/TR/webvtt1, sections 4 and 6; SubRip has no standard, and this is what players read.

    >>> print(cue("srt", 1, Segment(3661.5, 3662, "a -> b")), end="")
    1
    01:01:01,500 --> 01:01:02,000
    a -> b
    <BLANKLINE>
    """
    text = " ".join(segment.text.split())
    # A subtitle of no length would not be shown, and is not valid in WebVTT.
    start, end = round(1000 * segment.start), max(round(1000 * segment.end), round(1000 * segment.start) + 1)
    if format == "srt":
        times = f"{_clock(start, ',')} --> {_clock(end, ',')}"
        # What looks like a time would end the text.
        return f"{number}\n{times}\n{text.replace('-->', '->')}\n\n"
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"\n{number}\n{_clock(start, '.')} --> {_clock(end, '.')}\n{escaped}\n"


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
