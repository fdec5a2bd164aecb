"""Readers of SubRip and WebVTT, written from their descriptions and not from what writes them."""

import html
import re

CLOCK = r"(\d\d):([0-5]\d):([0-5]\d)%s(\d{3})"


def seconds(point, text):
    hours, minutes, rest, thousandths = map(int, re.fullmatch(CLOCK % re.escape(point), text).groups())
    return 3600 * hours + 60 * minutes + rest + thousandths / 1000


def timed(line, point):
    start, end = (seconds(point, each) for each in line.split(" --> "))
    assert start < end
    return start, end


def read_srt(text):
    """(start, end, text) of each cue: number, times, lines of text, an empty line."""
    cues = []
    for number, block in enumerate(text.strip("\n").split("\n\n") if text else [], start=1):
        first, times, *lines = block.split("\n")
        assert first == str(number) and lines and all(lines)
        cues.append((*timed(times, ","), "\n".join(lines)))
    return cues


def read_vtt(text):
    """The same of WebVTT: a first line, and blocks with an optional identifier."""
    first, *blocks = re.split(r"\n{2,}", text.rstrip("\n"))
    assert first == "WEBVTT"
    cues = []
    for block in blocks:
        lines = block.split("\n")
        if "-->" not in lines[0]:
            lines = lines[1:]
        assert len(lines) > 1 and not any(re.search(r"-->|[<>]", line) for line in lines[1:])
        cues.append((*timed(lines[0], "."), html.unescape("\n".join(lines[1:]))))
    return cues
