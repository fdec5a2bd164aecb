"""Manifests: a folder of audio with a `metadata.csv` whose `file_name` column names the files.

The convention is that of AudioFolder in Hugging Face Datasets: one row a recording, `file_name` relative to the
folder, any other columns free. Every column is kept as strings, in Unicode's composed form and without spaces around
them; file names are those of the disk.
"""

import csv
import io
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np

from jaxmeta.data.text import canonical, column, on_disk, stored
from jaxmeta.files.durable import replacing


class ManifestError(ValueError):
    """A manifest, or a file that it names, cannot be used; the message says which row and what to do."""


class Manifest(NamedTuple):
    """The rows of a manifest as columns, in file order."""

    root: Path
    """The folder that file names are relative to, absolute and free of links."""
    columns: dict[str, np.ndarray]
    """Column name -> [R] strings, see `text.column`; always holds `file_name`."""
    name: str = "metadata.csv"
    """Name of the CSV file in `root`."""

    def where(self, index: int) -> str:
        """Names the manifest and the row of recording `index` as a spreadsheet numbers it: the header is row 1."""
        return _where(self.root / self.name, index + 2)

    def paths(self) -> list[str]:
        """The audio files as absolute paths, in row order."""
        root = str(self.root)
        return [os.path.join(root, name) for name in self.columns["file_name"].tolist()]


def read_manifest(folder_or_csv: str | os.PathLike[str]) -> Manifest:
    """Reads a manifest and checks that each row names a distinct, non-empty file inside the folder.

    Args:
      folder_or_csv: a folder that holds `metadata.csv`, or the path of a CSV file of that form (UTF-8, with or
        without a byte order mark); `file_name` is relative to the folder of the CSV file.
    Raises:
      ManifestError: the CSV file is missing, empty, ragged or not UTF-8; there is no `file_name` column; a file name
        repeats, leaves the folder, or names a missing or empty file.
    """
    path = Path(folder_or_csv)
    if not path.exists():
        raise ManifestError(f"{path}: no such folder or CSV file; give a folder that holds metadata.csv.")
    path = path / "metadata.csv" if path.is_dir() else path
    if not path.is_file():
        raise ManifestError(f"{path}: no such file; a manifest is a folder with a metadata.csv in it.")
    path = path.parent.resolve() / path.name
    header, rows = _parse(path)
    names = [row[header.index("file_name")] for row in rows]
    _check_distinct(path, names)
    names = _checked_files(path, names)
    columns = {name: column(row[i] for row in rows) for i, name in enumerate(header)}
    columns["file_name"] = stored(names)
    return Manifest(path.parent, columns, path.name)


def write_manifest(folder: str | os.PathLike[str], columns: Mapping[str, Sequence[str] | np.ndarray]) -> Path:
    """Writes `metadata.csv` into the folder in one step: a reader sees the old file or the new one, never a part.

    Args:
      folder: made if it does not exist.
      columns: column name -> R values, written with `str`; must hold `file_name`.
    Returns:
      The path of the CSV file.
    Raises:
      ManifestError: no `file_name`, no rows, columns of different lengths, a repeated file name or one that leaves
        the folder. The audio files themselves are not looked at.
    """
    path = Path(folder) / "metadata.csv"
    sizes = {name: len(values) for name, values in columns.items()}
    if "file_name" not in columns or not sizes["file_name"] or len(set(sizes.values())) > 1:
        raise ManifestError(f"{path}: needs a file_name column and columns of one length above 0, got {sizes}.")
    _check_distinct(path, [str(name) for name in columns["file_name"]])
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def copy_recordings(source: Path, target: Path, columns: Mapping[str, Sequence[str] | np.ndarray]) -> Path:
    """Copies some recordings into a folder of their own, numbered from 01, with a manifest; returns that folder.

    Args:
      source: the folder that file names are relative to.
      target: made if it does not exist.
      columns: what the manifest shall say of them; must hold `file_name`, their names in `source`.
    """
    files = [source / str(name) for name in columns["file_name"]]
    names = [f"{number:02d}{file.suffix}" for number, file in enumerate(files, 1)]
    target.mkdir(parents=True, exist_ok=True)
    for file, name in zip(files, names, strict=True):
        shutil.copyfile(file, target / name)
    write_manifest(target, {**columns, "file_name": names})
    return target


def _where(path: Path, row: int) -> str:
    return f"{path}, row {row}"


def _parse(path: Path) -> tuple[list[str], list[list[str]]]:
    """Splits the CSV file into its header and its rows, all as long as the header."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise ManifestError(f"{_where(path, row)}: not UTF-8 ({error.reason}); save the file as UTF-8.") from error
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ManifestError(f"{_where(path, len(rows) + 1)}: not a valid CSV row ({error}).") from error
    while rows and not rows[-1]:  # Blank lines at the end are common and harmless; one between rows is ragged.
        rows.pop()
    if not rows:
        raise ManifestError(f"{path}: the file is empty; it needs a header with file_name and a row a recording.")
    rows[0] = [canonical(name) for name in rows[0]]
    _check_table(path, rows)
    return rows[0], rows[1:]


def _check_table(path: Path, rows: list[list[str]]) -> None:
    header = rows[0]
    if "file_name" not in header:
        raise ManifestError(f"{_where(path, 1)}: no file_name column; the columns are {', '.join(header)}.")
    if "" in header or len(set(header)) < len(header):
        raise ManifestError(f"{_where(path, 1)}: column names must be distinct and not empty, got {header}.")
    if len(rows) == 1:
        raise ManifestError(f"{path}: a header but no rows; it needs a row a recording.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ManifestError(
                f"{_where(path, number)}: {len(row)} fields where the header has {len(header)}; "
                "quote a field that holds a comma, and leave no blank line between rows."
            )
        if any("\0" in field for field in row):
            raise ManifestError(f"{_where(path, number)}: a field holds a NUL character; is this a text file?")


def _check_distinct(path: Path, names: list[str]) -> None:
    """Refuses names that repeat, and names that lead out of the folder whatever is on the disk."""
    first: dict[str, int] = {}
    for row, name in enumerate(names, start=2):
        if not name or os.path.isabs(name) or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
            raise ManifestError(
                f"{_where(path, row)}: file_name {name!r} must be a path inside the folder: relative, without '..'."
            )
        before = first.setdefault(canonical(str(PurePosixPath(name))), row)
        if before != row:
            raise ManifestError(
                f"{_where(path, row)}: file_name {name!r} is already in row {before}; "
                "a recording that counts twice could land in both support and query: remove one row."
            )


def _checked_files(path: Path, names: list[str]) -> list[str]:
    """The names as they are on the disk; refuses files that are missing, empty, or, by a link, outside the folder."""
    root, found = str(path.parent), []
    folders: dict[str, bool] = {}  # Resolving each folder once keeps 10,000 rows well under a second.
    for row, name in enumerate(names, start=2):
        full = _full(root, name)
        found.append(os.path.relpath(full, root) if full != os.path.join(root, name) else name)
        folder = os.path.dirname(full)
        if folder not in folders:
            folders[folder] = _inside(folder, root)
        try:
            info = os.lstat(full)
            linked = stat.S_ISLNK(info.st_mode)
            outside = not folders[folder] or (linked and not _inside(full, root))
            info = os.stat(full) if linked else info
        except OSError as error:
            raise ManifestError(f"{_where(path, row)}: cannot open {name!r} ({error.strerror}).") from error
        if outside:
            raise ManifestError(f"{_where(path, row)}: {name!r} is a link out of {root}; copy the file there.")
        if not stat.S_ISREG(info.st_mode):
            raise ManifestError(f"{_where(path, row)}: {name!r} is not a file.")
        if info.st_size == 0:
            raise ManifestError(f"{_where(path, row)}: {name!r} is an empty file (0 bytes); remove the row.")
    return found


def _full(root: str, name: str) -> str:
    """The file of a row: of this very name, or of the name that it has without spaces or in another Unicode form."""
    full = os.path.join(root, name)
    return full if os.path.lexists(full) else on_disk(os.path.join(root, name.strip()))


def _inside(path: str, root: str) -> bool:
    return os.path.commonpath([os.path.realpath(path), root]) == root
