"""The list of recordings as its file has it, with what is wrong row by row, where `read_manifest` would stop."""

import csv
import io
import math
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from jaxmeta.data.checking.kinds import BAD_ROW, MISSING, Case
from jaxmeta.data.checking.reading import Piece
from jaxmeta.data.manifest import ManifestError
from jaxmeta.data.text import canonical, on_disk


class Listing(NamedTuple):
    """R rows of a list."""

    path: Path
    """Of the CSV file."""
    columns: dict[str, list[str]]
    """Column name -> R cells as they stand in the file; an unreadable row has "" in each."""
    pieces: list[Piece | None]
    """What each row names; None where that cannot be read."""
    cases: list[Case]
    """What is wrong with rows."""

    def __len__(self) -> int:
        return len(self.pieces)

    def canonical(self, name: str) -> list[str] | None:
        """A column as training would see it, composed and without blanks at the ends; None where there is none."""
        return [canonical(cell) for cell in self.columns[name]] if name in self.columns else None


def read_listing(folder_or_csv: str | os.PathLike[str]) -> Listing:
    """Read the list of a folder as far as it can be read.

    Args:
      folder_or_csv: a folder that holds `metadata.csv`, or such a file.
    Raises:
      ManifestError: there is no list, it is not UTF-8 or no CSV, or has no rows or no column file_name.
    """
    path = Path(folder_or_csv)
    path = path / "metadata.csv" if path.is_dir() else path
    if not path.is_file():
        raise ManifestError(f"{path}: no such file; give a folder with a metadata.csv in it.")
    header, rows = _table(path)
    whole = [len(row) == len(header) and not any("\0" in cell for cell in row) for row in rows]
    cases = [
        Case(BAD_ROW.name, row, len(cells), 1.0, f"{len(cells)} fields where the header has {len(header)}, or a NUL")
        for row, (cells, good) in enumerate(zip(rows, whole, strict=True))
        if not good
    ]
    columns = {
        name: [cells[place] if good else "" for cells, good in zip(rows, whole, strict=True)]
        for place, name in enumerate(header)
    }
    pieces: list[Piece | None] = []
    seen: dict[tuple[str, ...], int] = {}
    for row, good in enumerate(whole):
        given = [columns.get(name, [""] * len(rows))[row].strip() for name in ("file_name", "start", "duration")]
        if "start" not in columns:
            given[1:] = ["", ""]  # `duration` alone describes a whole file.
        piece = _piece(path.parent.resolve(), *given) if good else None
        before = seen.setdefault((canonical(str(PurePosixPath(given[0]))), *given[1:]), row) if good else row
        if before != row:
            piece = f"{given[0]!r} is named by row {before + 2} already"
        if isinstance(piece, str):
            cases.append(Case(MISSING.name, row, 0.0, 1.0, piece))
        pieces.append(piece if isinstance(piece, Piece) else None)
    return Listing(path, columns, pieces, cases)


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV file."""
    try:
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 ({error.reason}); save the file as UTF-8.") from error
    except csv.Error as error:
        raise ManifestError(f"{path}: not a valid CSV file ({error}).") from error
    while rows and not rows[-1]:
        rows.pop()
    header = [canonical(name) for name in rows[0]] if rows else []
    if "file_name" not in header or len(set(header)) < len(header):
        raise ManifestError(f"{path}, row 1: needs distinct column names with file_name among them, got {header}.")
    if len(rows) == 1:
        raise ManifestError(f"{path}: a header but no rows; it needs a row a recording.")
    return header, rows[1:]


def _piece(root: Path, name: str, start: str, duration: str) -> Piece | str:
    """What a row names, or what is wrong with it."""
    if not name or os.path.isabs(name) or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
        return f"file_name {name!r} must be a path inside of the folder: relative, without '..'"
    full = on_disk(root / name)
    if not Path(full).resolve().is_relative_to(root):
        return f"{name!r} is a link out of {root}"
    if not os.path.isfile(full):
        return f"{name!r} is a folder" if os.path.isdir(full) else f"there is no file {name!r}"
    if os.path.getsize(full) == 0:
        return f"{name!r} is an empty file (0 bytes)"
    seconds = [_seconds(cell) for cell in (start, duration)]
    if (start and seconds[0] is None) or (duration and not seconds[1]):
        return f"start {start!r} and duration {duration!r} must be seconds, 0 or more and above 0"
    return Piece(full, seconds[0] or 0.0, seconds[1])


def _seconds(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
