"""Subtitles that others read, and JSON of one form."""

import json

import pytest

from jaxmeta.recognition.segments.formats import Segment, cue, header, json_line
from tests.recognition.segments.subtitles import read_srt, read_vtt

READ = {"srt": read_srt, "vtt": read_vtt}
SEGMENTS = [
    Segment(0.0, 1.2344, "hello"),
    Segment(59.9996, 61.5, "a < b & c > d"),
    Segment(36_000.001, 36_000.001, "at once"),
]


def written(format, segments):
    return header(format) + "".join(cue(format, number, each) for number, each in enumerate(segments, start=1))


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_a_reader_gets_times_to_the_millisecond_and_texts_back(format):
    assert READ[format](written(format, SEGMENTS)) == [
        (0.0, 1.234, "hello"),
        (60.0, 61.5, "a < b & c > d"),
        (36_000.001, 36_000.002, "at once"),
    ]
    assert READ[format](written(format, [])) == []


def test_a_text_that_looks_like_a_time_or_has_empty_lines_ends_no_cue():
    odd = [Segment(0, 1, "00:00:01,000 --> 00:00:02,000\n\n2"), Segment(1, 2, "next")]
    assert read_vtt(written("vtt", odd))[0][2] == "00:00:01,000 --> 00:00:02,000 2"
    assert [text for _, _, text in read_srt(written("srt", odd))] == ["00:00:01,000 -> 00:00:02,000 2", "next"]


def test_json_has_a_version_and_no_segments_without_text():
    row = json.loads(json_line("a.wav", 3.00049, [Segment(0, 1, "é"), Segment(1, 2, ""), Segment(2, 3.00049, "b")]))
    assert row == {
        "version": 1, "command": "transcribe", "file": "a.wav", "seconds": 3.0, "text": "é b",
        "segments": [{"start": 0, "end": 1, "text": "é"}, {"start": 2, "end": 3.0, "text": "b"}],
    }  # fmt: skip
