"""Manifests: a folder of audio with a `metadata.csv` whose `file_name` column names the files.

The convention is that of AudioFolder in Hugging Face Datasets: one row a recording, `file_name` relative to the
folder, any other columns free. A column `start`, with or without `duration`, makes rows pieces of long recordings.
Every column is kept as strings, in Unicode's composed form and without spaces around them; file names are those of the
disk.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.manifests.clips import DURATION, START, Clip, clip_seconds, clips_of
from jaxmeta.data.manifests.copies import copy_clip
from jaxmeta.data.manifests.files import Locator, first_repeat, safe_name
from jaxmeta.data.text import canonical, column, stored
from jaxmeta.files.durable import replacing

_NAMING = {"file_name", START, DURATION}
_SHORT, _KNOWN = 40, 1 << 16
"""Cells shorter than this are shared between rows, and so many of them are remembered."""


class ManifestError(ValueError):
    """A manifest, or a file that it names, cannot be used; the message says which row and what to do."""


class Manifest(NamedTuple):
    """The rows of a manifest as columns, in file order."""

    root: Path
    """The folder that file names are relative to, absolute and free of links."""
    columns: dict[str, np.ndarray]
    """Column name -> [R] strings, see `text.column`; always holds `file_name`: absolute for files of other folders."""
    name: str = "metadata.csv"
    """Name of the CSV file in `root`."""

    def where(self, index: int) -> str:
        """Names the manifest and the row of recording `index` as a spreadsheet numbers it: the header is row 1."""
        return _where(self.root / self.name, index + 2)

    def paths(self) -> list[str]:
        """The audio files as absolute paths, in row order; a file of several pieces comes several times."""
        root = str(self.root)
        return [os.path.join(root, name) for name in self.columns["file_name"].tolist()]

    def clips(self) -> list[Clip]:
        """What the rows name, in their order: whole files, or pieces of them."""
        return clips_of(self.root, self.columns)


def read_manifest(folder_or_csv: str | os.PathLike[str], roots: Iterable[str | os.PathLike[str]] = ()) -> Manifest:
    """Reads a manifest and checks that each row names a recording of its own: a file in the folder, or a piece of one.

    Args:
      folder_or_csv: a folder that holds `metadata.csv`, or the path of a CSV file of that form (UTF-8, with or
        without a byte order mark); `file_name` is relative to the folder of the CSV file.
      roots: further folders in which files may lie: their names are relative to one of them, or absolute.
    Raises:
      ManifestError: the CSV file is missing, empty, ragged or not UTF-8; there is no `file_name` column; a row repeats,
        leaves the folder, names a missing or empty file, or has a `start` or `duration` that is no number of seconds.
      ValueError: a root is no folder.
    """
    path = Path(folder_or_csv)
    if not path.exists():
        raise ManifestError(f"{path}: no such folder or CSV file; give a folder that holds metadata.csv.")
    path = path / "metadata.csv" if path.is_dir() else path
    if not path.is_file():
        raise ManifestError(f"{path}: no such file; a manifest is a folder with a metadata.csv in it.")
    path = path.parent.resolve() / path.name
    cells, roots = _parse(path), tuple(roots)
    _check_distinct(path, cells, absolute=bool(roots))
    names = _checked_files(path, cells["file_name"], Locator(path.parent, roots))
    columns = {name: stored(names) if name == "file_name" else column(cells.pop(name)) for name in list(cells)}
    return Manifest(path.parent, columns, path.name)


def write_manifest(
    folder: str | os.PathLike[str], columns: Mapping[str, Sequence[str] | np.ndarray], *, absolute: bool = False
) -> Path:
    """Writes `metadata.csv` into the folder in one step: a reader sees the old file or the new one, never a part.

    Args:
      folder: made if it does not exist.
      columns: column name -> R values, written with `str`; must hold `file_name`.
      absolute: file names may be absolute, for readers who allow the folders of these files.
    Returns:
      The path of the CSV file.
    Raises:
      ManifestError: no `file_name`, no rows, columns of different lengths, a repeated row, a file name that leaves
        the folder, or no number of seconds. The audio files themselves are not looked at.
    """
    path = Path(folder) / "metadata.csv"
    sizes = {name: len(values) for name, values in columns.items()}
    if "file_name" not in columns or not sizes["file_name"] or len(set(sizes.values())) > 1:
        raise ManifestError(f"{path}: needs a file_name column and columns of one length above 0, got {sizes}.")
    naming = {name: [canonical(str(cell)) for cell in columns[name]] for name in _NAMING & set(columns)}
    _check_distinct(path, naming, absolute)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        # Before Python 3.13 a carriage return is not quoted where lines end otherwise, and would part the row.
        returns = any("\r" in str(cell) for values in columns.values() for cell in values)
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def copy_recordings(source: Path, target: Path, columns: Mapping[str, Sequence[str] | np.ndarray]) -> Path:
    """Copies some recordings into a folder of their own, numbered from 01, with a manifest; returns that folder.

    Args:
      source: the folder that file names are relative to.
      target: made if it does not exist.
      columns: what the manifest shall say of them; must hold `file_name`, their names in `source`. Pieces of recordings
        become files of their own.
    """
    clips = clips_of(source, {name: column(values) for name, values in columns.items()})
    target.mkdir(parents=True, exist_ok=True)
    names = [copy_clip(clip, target / f"{number:02d}").name for number, clip in enumerate(clips, 1)]
    said = {name: values for name, values in columns.items() if START not in columns or name not in (START, DURATION)}
    write_manifest(target, {**said, "file_name": names})
    return target


def _where(path: Path, row: int) -> str:
    return f"{path}, row {row}"


def _parse(path: Path) -> dict[str, list[str]]:
    """The CSV file as columns of cells, in the order of its header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _table(path, csv.reader(file, strict=True))
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error.reason) from error


def _not_utf8(path: Path, reason: str) -> ManifestError:
    data = path.read_bytes()
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        return ManifestError(f"{_where(path, row)}: not UTF-8 ({reason}); save the file as UTF-8.")
    return ManifestError(f"{path}: was not UTF-8 ({reason}) as it was read, and has changed since; run again.")


def _table(path: Path, reader: Iterator[list[str]]) -> dict[str, list[str]]:
    # A million rows as lists of cells would be a gigabyte of small objects: cells that repeat are one string.
    known: dict[str, str] = {}
    cells: list[list[str]] = []
    number, blank, header = 0, 0, None
    try:
        for number, row in enumerate(reader, start=1):
            if header is None and row:
                header = _checked_header(path, number, row)
                cells = [[] for _ in header]
            elif row and not blank:
                _check_row(path, number, row, len(cells))
                for column_cells, cell in zip(cells, row, strict=True):
                    column_cells.append(known.setdefault(cell, cell) if len(cell) < _SHORT else cell)
                if len(known) > _KNOWN:
                    known.clear()
            elif row:  # Blank lines at the end are common and harmless; one between rows is ragged.
                _check_row(path, blank, [], len(cells))
            else:
                blank = blank or number
    except csv.Error as error:
        raise ManifestError(f"{_where(path, number + 1)}: not a valid CSV row ({error}).") from error
    if header is None:
        raise ManifestError(f"{path}: the file is empty; it needs a header with file_name and a row a recording.")
    if not cells[0]:
        raise ManifestError(f"{path}: a header but no rows; it needs a row a recording.")
    return dict(zip(header, cells, strict=True))


def _checked_header(path: Path, number: int, row: list[str]) -> list[str]:
    header = [canonical(name) for name in row]
    if number > 1 or "file_name" not in header:
        columns = ", ".join(header) if number == 1 else "empty"
        raise ManifestError(f"{_where(path, 1)}: no file_name column; the columns are {columns}.")
    if "" in header or len(set(header)) < len(header):
        raise ManifestError(f"{_where(path, 1)}: column names must be distinct and not empty, got {header}.")
    _check_row(path, 1, row, len(row))
    return header


def _check_row(path: Path, number: int, row: list[str], size: int) -> None:
    if len(row) != size:
        raise ManifestError(
            f"{_where(path, number)}: {len(row)} fields where the header has {size}; "
            "quote a field that holds a comma, and leave no blank line between rows."
        )
    if any("\0" in field for field in row):
        raise ManifestError(f"{_where(path, number)}: a field holds a NUL character; is this a text file?")


def _check_distinct(path: Path, cells: Mapping[str, list[str]], absolute: bool = False) -> None:
    """Refuses rows that repeat, names that lead out of the folder whatever is on the disk, and wrong seconds."""
    names, pieces = cells["file_name"], START in cells
    empty = [""] * len(names)
    starts = cells[START] if pieces else empty
    durations = cells[DURATION] if pieces and DURATION in cells else empty
    seconds: list[tuple[float | None, float | None]] = []
    for row, (name, start, duration) in enumerate(zip(names, starts, durations, strict=True), start=2):
        if not safe_name(name, absolute):
            raise ManifestError(
                f"{_where(path, row)}: file_name {name!r} must be a path inside the folder: relative, without '..'."
                + (" Files of other folders need --root with their folder." if os.path.isabs(name) else "")
            )
        if pieces:
            try:
                seconds.append((clip_seconds(START, start.strip()), clip_seconds(DURATION, duration.strip())))
            except ValueError as error:
                raise ManifestError(f"{_where(path, row)}: {name!r}: {error}.") from error
    if repeat := first_repeat(names, seconds):
        row, before = repeat
        raise ManifestError(
            f"{_where(path, row + 2)}: file_name {names[row]!r} is already in row {before + 2}; "
            "a recording that counts twice could land in both support and query: remove one row"
            + (", or give the pieces of it different seconds." if pieces else ".")
        )


def _checked_files(path: Path, names: list[str], locator: Locator) -> list[str]:
    """The names as they are on the disk; refuses files that are missing, empty, or outside of the folders."""
    known: dict[str, str] = {}
    for row, name in enumerate(names, start=2):
        if name not in known:
            try:
                known[name] = locator.find(name)
            except ValueError as error:
                raise ManifestError(f"{_where(path, row)}: {error}") from error
    return [known[name] for name in names]
