"""The list of recordings as its file has it, with what is wrong row by row, where `read_manifest` would stop."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from jaxmeta.data.checking.kinds import BAD_ROW, MISSING, Case
from jaxmeta.data.manifest import ManifestError
from jaxmeta.data.manifests.clips import DURATION, START, Clip, clip_seconds
from jaxmeta.data.manifests.files import Locator, safe_name
from jaxmeta.data.text import canonical


class Listing(NamedTuple):
    """R rows of a list."""

    path: Path
    """Of the CSV file."""
    columns: dict[str, list[str]]
    """Column name -> R cells as they stand in the file; an unreadable row has "" in each."""
    clips: list[Clip | None]
    """What each row names; None where that cannot be read."""
    cases: list[Case]
    """What is wrong with rows."""

    def __len__(self) -> int:
        return len(self.clips)

    def canonical(self, name: str) -> list[str] | None:
        """A column as training would see it, composed and without blanks at the ends; None where there is none."""
        return [canonical(cell) for cell in self.columns[name]] if name in self.columns else None


def read_listing(folder_or_csv: str | os.PathLike[str], roots: Iterable[str | os.PathLike[str]] = ()) -> Listing:
    """Read the list of a folder as far as it can be read.

    Args:
      folder_or_csv: a folder that holds `metadata.csv`, or such a file.
      roots: further folders in which files may lie.
    Raises:
      ManifestError: there is no list, it is not UTF-8 or no CSV, or has no rows or no column file_name.
      ValueError: a root is no folder.
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
    locator = Locator(path.parent.resolve(), roots)
    clips: list[Clip | None] = []
    seen: dict[tuple[str, ...], int] = {}
    for row, good in enumerate(whole):
        # `duration` alone describes a whole file.
        names = ("file_name", START, DURATION) if START in columns else ("file_name",)
        given = [columns[name][row].strip() if name in columns else "" for name in names] + [""] * (3 - len(names))
        clip = _clip(locator, *given) if good else None
        before = seen.setdefault((canonical(str(PurePosixPath(given[0]))), *given[1:]), row) if good else row
        if before != row:
            clip = f"{given[0]!r} is named by row {before + 2} already"
        if isinstance(clip, str):
            cases.append(Case(MISSING.name, row, 0.0, 1.0, clip))
        clips.append(clip if isinstance(clip, Clip) else None)
    return Listing(path, columns, clips, cases)


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


def _clip(locator: Locator, name: str, start: str, duration: str) -> Clip | str:
    """What a row names, or what is wrong with it."""
    if not safe_name(name, absolute=bool(locator.roots)):
        return f"file_name {name[:80]!r} must be a path inside of the folder: relative, without '..'"
    try:
        path = os.path.join(locator.folder, locator.find(name))
        return Clip(path, clip_seconds(START, start) or 0.0, clip_seconds(DURATION, duration))
    except ValueError as error:
        return str(error).rstrip(".")
