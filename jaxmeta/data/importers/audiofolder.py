"""AudioFolder of Hugging Face Datasets: metadata.csv or metadata.jsonl, whose `file_name` names the recordings."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxmeta.data.importers.rows import TEXT, Rejection, Row, SourceError, cell, number, objects, renamed
from jaxmeta.data.importers.texts import lenient_lines, text

_NAMES = {TEXT: TEXT, "text": TEXT, "sentence": TEXT}
_SPLITS = {"train": "train", "validation": "val", "valid": "val", "dev": "val", "test": "test"}
METADATA = ("metadata.csv", "metadata.jsonl")


def read(path: Path) -> Iterator[Row | Rejection]:
    """The recordings of a file of metadata, of that of a folder, or of those of its folders train, validation, test."""
    for file, split in metadata_of(path):
        for row in _jsonl(file) if ".jsonl" in file.suffixes else _csv(file):
            yield (
                row if isinstance(row, Rejection) or not split else row._replace(columns={"split": split} | row.columns)
            )


def metadata_of(path: Path) -> list[tuple[Path, str]]:
    """Files of metadata, and the split that the folder of each is named for, or ""."""
    if not path.is_dir():
        return [(path, "")]
    if own := [path / name for name in METADATA if (path / name).is_file()]:
        return [(own[0], "")]
    return [(path / part / name, split) for part, split in _SPLITS.items() for name in METADATA
            if (path / part / name).is_file()]  # fmt: skip


def _jsonl(file: Path) -> Iterator[Row | Rejection]:
    for item in objects(lenient_lines(file), file):
        yield item if isinstance(item, Rejection) else _row(file, *item)


def _csv(file: Path) -> Iterator[Row | Rejection]:
    reader = csv.reader(io.StringIO(text(file), newline=""), strict=True)
    header: list[str] = []
    place = 0
    while True:
        place += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise SourceError(f"{file}, row {place}: not a valid CSV row ({error}).") from error
        if not header:
            header = [name.strip() for name in fields]
            if "file_name" not in header or len(set(header)) < len(header):
                raise SourceError(f"{file}, row 1: needs distinct columns with file_name among them, got {header}.")
        elif fields and len(fields) != len(header):
            yield Rejection(file, place, f"{len(fields)} fields where the header has {len(header)}")
        elif fields:
            yield _row(file, place, dict(zip(header, fields, strict=True)))


def _row(file: Path, place: int, values: dict[str, Any]) -> Row | Rejection:
    audio = cell(values.get("file_name"))
    if not audio:
        return Rejection(file, place, "no file_name")
    piece = "start" in values
    consumed = frozenset({"file_name", "start", "duration"} if piece else {"file_name"})
    try:
        start = number(values["start"]) if piece and cell(values["start"]) else 0.0
        duration = number(values["duration"]) if piece and cell(values.get("duration")) else None
    except ValueError as error:
        return Rejection(file, place, str(error))
    return Row(file, place, audio, renamed(values, _NAMES, consumed), start, duration)
