"""Kaldi's data folders: wav.scp, and perhaps segments, text, utt2spk, spk2gender and utt2lang.

Source: Kaldi's documentation, "Data preparation". A pipe in wav.scp is a command of a shell, and is never run.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from jaxmeta.data.importers.rows import LANGUAGE, SPEAKER, TEXT, Rejection, Row, between, number
from jaxmeta.data.importers.texts import lenient_lines

_BLANK = re.compile(r"[ \t]+")
_ARCHIVE = re.compile(r".*:[0-9]+")


def read(path: Path) -> Iterator[Row | Rejection]:
    """The utterances of a folder: those of `segments`, or else the recordings of `wav.scp`; or why not, for each."""
    recordings: dict[str, tuple[int, str]] = {}
    segmented = (path / "segments").exists()
    for item in _entries(path / "wav.scp"):
        if isinstance(item, Rejection):
            yield item
            continue
        place, name, said = item
        if reason := _unreadable(said) or ("is named twice" if name in recordings else ""):
            yield Rejection(path / "wav.scp", place, f"{name}: {reason}")
            continue
        recordings[name] = place, said
    about: dict[str, dict[str, str]] = {}
    known = {
        item[1] for item in _entries(path / ("segments" if segmented else "wav.scp")) if not isinstance(item, Rejection)
    }
    for column, file in ((TEXT, "text"), (SPEAKER, "utt2spk"), (LANGUAGE, "utt2lang"), ("gender", "spk2gender")):
        if (path / file).exists():
            about[column] = {}
            for item in _entries(path / file):
                if isinstance(item, Rejection):
                    yield item
                elif column == TEXT and item[1] not in known:
                    yield Rejection(path / file, item[0], f"{item[1]}: there is no such utterance")
                else:
                    about[column][item[1]] = item[2]
    utterances = _segments(path / "segments", recordings) if segmented else _whole(path / "wav.scp", recordings)
    for utterance in utterances:
        if isinstance(utterance, Rejection):
            yield utterance
            continue
        name = utterance.columns["utterance"]
        if TEXT in about and name not in about[TEXT]:
            yield Rejection(utterance.file, utterance.number, f"{name}: has no line in text")
            continue
        yield utterance._replace(columns=_columns(name, about))


def _columns(name: str, about: dict[str, dict[str, str]]) -> dict[str, str]:
    columns = {column: values.get(name, "") for column, values in about.items() if column != "gender"}
    if "gender" in about:
        columns["gender"] = about["gender"].get(columns.get(SPEAKER, ""), "")
    return columns | {"utterance": name}


def _whole(file: Path, recordings: dict[str, tuple[int, str]]) -> Iterator[Row]:
    for name, (place, audio) in recordings.items():
        yield Row(file, place, audio, {"utterance": name})


def _segments(file: Path, recordings: dict[str, tuple[int, str]]) -> Iterator[Row | Rejection]:
    for item in _entries(file):
        if isinstance(item, Rejection):
            yield item
            continue
        place, name, said = item
        parts = said.split()
        try:
            if len(parts) != 3:
                raise ValueError(f"has {len(parts) + 1} fields and not 4: utterance, recording, start and end")
            if parts[0] not in recordings:
                raise ValueError(f"its recording {parts[0]!r} is not in wav.scp, or was rejected there")
            start, duration = (number(parts[1]), None) if number(parts[2]) == -1 else between(parts[1], parts[2])
        except ValueError as error:
            yield Rejection(file, place, f"{name}: {error}")
            continue
        yield Row(file, place, recordings[parts[0]][1], {"utterance": name}, start, duration)


def _entries(file: Path) -> Iterator[tuple[int, str, str] | Rejection]:
    """Line, first word, and the rest, of a file whose lines are a name and what is said of it."""
    for item in lenient_lines(file):
        if isinstance(item, Rejection):
            yield item
        elif item[1].strip():
            name, *said = _BLANK.split(item[1].strip(), maxsplit=1)
            yield item[0], name, "".join(said)


def _unreadable(audio: str) -> str:
    """Why what wav.scp says is no file; empty where it may be one."""
    if audio.startswith("|") or audio.endswith("|"):
        return "is a pipe, which is never run; write its output to a file, and name that"
    if not audio or audio == "-":
        return "names no file"
    return "is a place in an archive, which is not read; write it to a file" if _ARCHIVE.fullmatch(audio) else ""
