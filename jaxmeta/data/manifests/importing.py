"""Rows of a list in another format as a manifest: each is checked against its recording, and none is lost."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxmeta.data.audio import AudioError, declared_seconds
from jaxmeta.data.importers.rows import LABEL, LANGUAGE, SPEAKER, TEXT, Rejection, Row
from jaxmeta.data.manifest import write_manifest
from jaxmeta.data.manifests.clips import DURATION, START, Clip
from jaxmeta.data.manifests.copies import copy_clip
from jaxmeta.data.manifests.files import inside_of, safe_name
from jaxmeta.data.text import canonical, on_disk
from jaxmeta.files.durable import replacing
from jaxmeta.progress import progress_bar

REJECTED = "rejected.csv"
"""File of the rows that are of no use, with the columns file, row and reason."""
_ORDER = (TEXT, LABEL, SPEAKER, LANGUAGE, "gender", "split")
_ROUNDED = 0.05
"""Seconds by which lists and files may differ on where a recording ends."""
_SHORTEST = 0.001
"""Seconds of a piece: it must hold a sample at any rate."""
_LONGEST = 131_072
"""Characters of a cell that Python's reader of CSV takes."""


class _Recording(NamedTuple):
    name: str
    """As the manifest names it."""
    path: str
    seconds: float


class Utterance(NamedTuple):
    """A row that can be used."""

    name: str
    """Relative to the folder of recordings that it lies in, or absolute where that would be ambiguous."""
    clip: Clip
    columns: dict[str, str]
    source: tuple[Path, int]
    """The list, and the row there."""


class Imported(NamedTuple):
    """What has become of the rows of a list: `read` of them are as many as utterances and rejections together."""

    utterances: list[Utterance]
    rejections: list[Rejection]
    roots: list[Path]
    """Folders that recordings lie in, which commands want by --root."""

    @property
    def read(self) -> int:
        """Rows in all."""
        return len(self.utterances) + len(self.rejections)


class _Finder:
    """Recordings by the paths in lists, each looked at once."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = list(dict.fromkeys(Path(os.path.realpath(root)) for root in roots))
        self._known: dict[tuple[Path, str], _Recording | str] = {}
        self.used: dict[Path, None] = {}

    def recording(self, base: Path, audio: str) -> _Recording:
        """The recording; raises ValueError, which says why there is none."""
        if (base, audio) not in self._known:
            try:
                self._known[base, audio] = self._look(base, audio)
            except ValueError as error:
                self._known[base, audio] = str(error)
        known = self._known[base, audio]
        if isinstance(known, str):
            raise ValueError(known)
        return known

    def _look(self, base: Path, audio: str) -> _Recording:
        if "\0" in audio:
            raise ValueError("the path of the recording holds a NUL character")
        places = [os.path.join(folder, audio) for folder in (base, *self._roots)]
        file = next((each for each in map(on_disk, dict.fromkeys(places)) if os.path.isfile(each)), None)
        if file is None:
            raise ValueError(f"{audio}: no such file")
        real = os.path.realpath(file)
        root = inside_of(real, self._roots)
        if root is None:
            raise ValueError(f"{audio}: lies outside of {self._roots[0]}; give --root with a folder that it lies in")
        name = os.path.relpath(real, root)
        if not safe_name(name) or not _writable(name):
            raise ValueError(f"{name!r}: cannot be the name of a file in a manifest; rename the file")
        try:
            seconds = declared_seconds(real)
        except AudioError as error:
            raise ValueError(str(error).replace(f"{real}: ", f"{audio}: ").rstrip(".")) from error
        self.used[root] = None
        twice = sum(os.path.lexists(os.path.join(each, name)) for each in self._roots) > 1
        return _Recording(real if twice else name, real, seconds)


def import_rows(
    rows: Iterable[Row | Rejection], folder: Path, roots: Iterable[Path] = (), *, progress: bool = True
) -> Imported:
    """Check every row of a list against its recording.

    Args:
      rows: as `importers` read them.
      folder: of the list; recordings may lie in it.
      roots: further folders in which recordings may lie.
      progress: show progress on standard error.
    Raises:
      SourceError: the list cannot be read.
    """
    finder = _Finder([folder, *roots])
    utterances: list[Utterance] = []
    rejections: list[Rejection] = []
    first: dict[tuple[str, float, float | None], Row] = {}
    for row in _counted(rows, progress):
        if isinstance(row, Rejection):
            rejections.append(row)
            continue
        try:
            base = row.base or (row.file if row.file.is_dir() else row.file.parent)
            recording = finder.recording(base, row.audio)
            clip = _piece(recording, row)
            before = first.setdefault((recording.path, clip.start, clip.duration), row)
            if before is not row:
                raise ValueError(f"is the same recording as row {before.number} of {before.file.name}")
            utterances.append(Utterance(recording.name, clip, _columns(row), (row.file, row.number)))
        except ValueError as error:
            rejections.append(Rejection(row.file, row.number, str(error)))
    return Imported(utterances, rejections, list(finder.used))


def write_import(imported: Imported, folder: Path, *, copy: bool = False, progress: bool = True) -> Imported:
    """Write metadata.csv, rejected.csv, and on request the recordings, into a folder that exists.

    Args:
      imported: with one utterance at least.
      folder: of the new manifest.
      copy: copy the recordings to `audio` within it; pieces of long ones become files of their own.
      progress: show progress on standard error.
    Returns:
      What was written: where recordings are copied, those that cannot be decoded are rejected by now.
    Raises:
      ValueError: none of them can be decoded.
    """
    if copy:
        imported, names = _copied(imported, folder / "audio", progress)
    else:
        names = [each.name for each in imported.utterances]
    pieces = not copy and any(not each.clip.whole for each in imported.utterances)
    columns: dict[str, list[str]] = {"file_name": names}
    if pieces:
        columns[START] = [_decimal(each.clip.start) for each in imported.utterances]
        columns[DURATION] = [_decimal(each.clip.duration) for each in imported.utterances]
    extra = dict.fromkeys(name for each in imported.utterances for name in each.columns)
    for name in sorted(extra, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)):
        if name not in (START, "file_name"):
            columns[f"source {name}" if name in columns else name] = [
                each.columns.get(name, "") for each in imported.utterances
            ]
    write_manifest(folder, columns, absolute=not copy)
    with replacing(folder / REJECTED) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "row", "reason"))
        writer.writerows((_plain(each.file), each.number, _plain(each.reason)) for each in imported.rejections)
    return imported


def _counted(rows: Iterable[Row | Rejection], progress: bool) -> Iterator[Row | Rejection]:
    """The rows, with a line on standard error from time to time: nobody knows how many there are."""
    known = list(rows)
    with progress_bar("looking at recordings", len(known), progress, unit="rows") as advance:
        for row in known:
            yield row
            advance(1)


def _piece(recording: _Recording, row: Row) -> Clip:
    """The clip of a row; all of a file whose list says as much of it."""
    start, duration, seconds = row.start, row.duration, recording.seconds
    if not 0 <= start < float("inf"):
        raise ValueError(f"starts at {start:g} s; it must be 0 or more")
    if duration is not None and not _SHORTEST <= duration < float("inf"):
        raise ValueError(f"lasts {duration:g} s; it must be {_SHORTEST:g} or more")
    if start > 0 and seconds - start < _SHORTEST:
        raise ValueError(f"starts at {start:g} s, and {row.audio} ends at {seconds:.3f} s")
    if duration is not None and start + duration > seconds + _ROUNDED:
        raise ValueError(f"ends at {start + duration:g} s, and {row.audio} at {seconds:.3f} s")
    if start == 0 and (duration is None or abs(duration - seconds) <= _ROUNDED):
        return Clip(recording.path)
    return Clip(recording.path, start, duration)


def _columns(row: Row) -> dict[str, str]:
    """What is said of a row, under distinct names, none of them that of a column with a meaning of its own."""
    columns: dict[str, str] = {}
    for name, value in row.columns.items():
        known, said = canonical(name), canonical(value)
        if not known or known in ("file_name", START) or known in columns:
            known = f"source {known}".strip()
        if "\0" in known + said:
            raise ValueError(f"{name[:40]!r} holds a NUL character")
        if not _writable(known) or not _writable(said):
            raise ValueError(f"{name[:40]!r} holds half a character (a lone surrogate); correct it")
        if len(said) >= _LONGEST:
            raise ValueError(f"{name[:40]!r} has {len(said):,} characters, and a cell takes fewer than {_LONGEST:,}")
        columns[known] = said
    return columns


def _copied(imported: Imported, folder: Path, progress: bool) -> tuple[Imported, list[str]]:
    """What could be copied, and the names of the copies."""
    folder.mkdir()
    names, used, rejections = [], [], list(imported.rejections)
    with progress_bar("copying recordings", len(imported.utterances), progress, unit="recordings") as advance:
        for place, each in enumerate(imported.utterances, 1):
            try:
                names.append(f"{folder.name}/{copy_clip(each.clip, folder / f'{place:06d}').name}")
                used.append(each)
            except AudioError as error:
                rejections.append(Rejection(*each.source, str(error).rstrip(".")))
            advance(1)
    if not used:
        raise ValueError(f"none of the recordings can be copied. {rejections[-1].file}: {rejections[-1].reason}.")
    return imported._replace(utterances=used, rejections=rejections), names


def _writable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: object) -> str:
    """Text that can be written, whatever a name on the disk or a broken cell holds."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def _decimal(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.9f}".rstrip("0").rstrip(".")


def summary(imported: Imported) -> Mapping[str, int]:
    """Counts for a person or a program."""
    return {"read": imported.read, "used": len(imported.utterances), "rejected": len(imported.rejections)}
