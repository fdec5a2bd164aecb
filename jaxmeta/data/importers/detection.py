"""Which format a list of recordings has, where that is beyond doubt."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from jaxmeta.data.importers import audacity
from jaxmeta.data.importers.audiofolder import metadata_of
from jaxmeta.data.importers.recordings import files_of
from jaxmeta.data.importers.rows import Rejection, SourceError
from jaxmeta.data.importers.texts import lenient_lines

Format = Literal[
    "nemo", "lhotse", "kaldi", "common-voice", "audiofolder", "ljspeech", "textgrid", "audacity", "elan", "transcripts"
]


def detect(path: Path) -> Format:
    """The format of a file or folder.

    Raises:
      SourceError: there is no such file, or none or several formats fit; names them.
    """
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder.")
    fitting = list(dict.fromkeys(_of_folder(path) if path.is_dir() else _of_file(path)))
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise SourceError(f"{path}: may be {' or '.join(fitting)}; say which by --from.")
    raise SourceError(f"{path}: the format is not known; say which by --from: {', '.join(get_args(Format))}.")


def _of_folder(path: Path) -> Iterator[Format]:
    if (path / "wav.scp").is_file():
        yield "kaldi"
    if any((path / f"{name}.tsv").is_file() for name in ("train", "validated")) and (path / "clips").is_dir():
        yield "common-voice"
    for file, _ in metadata_of(path):
        yield from _of_file(file)
    if next(files_of(path, (".textgrid",)), None):
        yield "textgrid"
    if next(files_of(path, (".eaf",)), None):
        yield "elan"
    texts = list(islice(files_of(path, (".txt",)), 100))
    kinds = {_has_labels(file) for file in texts if not _aside(file)}
    if True in kinds:
        yield "audacity"
    if False in kinds:
        yield "transcripts"


def _of_file(path: Path) -> Iterator[Format]:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".eaf"):
        yield "elan"
    elif name.endswith(".textgrid"):
        yield "textgrid"
    elif name.endswith(".tsv"):
        yield "common-voice"
    elif name.endswith((".jsonl", ".json", ".ndjson")):
        yield from _of_json(_first_line(path))
    elif name.endswith(".csv"):
        first = _first_line(path)
        if "file_name" in [field.strip().strip('"') for field in first.split(",")]:
            yield "audiofolder"
        elif "|" in first:
            yield "ljspeech"
    elif name.endswith(".txt") and _has_labels(path):
        yield "audacity"


def _of_json(line: str) -> Iterator[Format]:
    try:
        keys = set(json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return
    if "audio_filepath" in keys:
        yield "nemo"
    if {"recording", "supervisions"} <= keys or "type" in keys:
        yield "lhotse"
    if "file_name" in keys:
        yield "audiofolder"


def _first_line(path: Path) -> str:
    for item in lenient_lines(path):
        return "" if isinstance(item, Rejection) else item[1]
    return ""


def _has_labels(path: Path) -> bool:
    return audacity.LINE.fullmatch(_first_line(path)) is not None


def _aside(path: Path) -> bool:
    """Whether it says something of the whole folder."""
    return path.stem.lower() in ("readme", "license", "licence", "copying", "changelog")
