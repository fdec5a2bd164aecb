"""Recordings of one voice in a folder with a metadata.csv: one is added, changed or deleted at a time."""

import secrets
import threading
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.audio import declared_seconds, write_audio
from jaxmeta.data.manifest import read_manifest, write_manifest
from jaxmeta.files.durable import sync

_LONGEST_TEXT = 2_000
"""Characters of a transcript."""


class Row(NamedTuple):
    """A recording."""

    name: str
    """Of its file in the folder `audio`."""
    text: str
    seconds: float


class Recordings:
    """A folder that `jaxmeta adapt` or `jaxmeta enroll` takes.

    Audio is written before the row that names it, and deleted after it: a crash leaves no row without a file.
    Other columns that are there stay.
    Args:
      folder: made with the first recording.
      column: that texts stand in, "transcription" or "label".
    """

    def __init__(self, folder: Path, column: str) -> None:
        self.folder, self._column = folder, column
        self._lock = threading.RLock()

    def rows(self) -> list[Row]:
        """All recordings, in the order in which they were added. Raises ManifestError as `read_manifest`."""
        with self._lock:
            columns = self._columns()
            names, texts = columns["file_name"], columns[self._column]
            return [
                Row(Path(name).name, text, _seconds(self.folder / name))
                for name, text in zip(names, texts, strict=True)
            ]

    def add(self, waveform: np.ndarray, rate: int, text: str) -> str:
        """Write a recording of a voice and its text; both are on the disk when this returns.

        Args:
          waveform: [S] in [-1, 1].
          rate: of it, in Hz.
          text: what is said.
        Returns:
          The name of the recording.
        Raises:
          ValueError: the text has a line break, or is too long. OSError: it could not be written.
        """
        text = _checked(text)
        with self._lock:
            columns = self._columns()
            # Never the name of a deleted recording, which an adapted recogniser may have learnt from.
            path = self.folder / "audio" / f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}.flac"
            row = {"file_name": f"audio/{path.name}", self._column: text}
            try:
                write_audio(path, waveform, rate)
                sync(path)
                sync(path.parent)  # The name, too: a row without its file would make the folder unreadable.
                write_manifest(self.folder, {name: [*cells, row.get(name, "")] for name, cells in columns.items()})
            except OSError:
                path.unlink(missing_ok=True)  # Nobody would know of it.
                raise
            return path.name

    def change(self, name: str, text: str) -> None:
        """Replace the text of a recording. Raises ValueError for an unknown name, and as `add`."""
        text = _checked(text)
        with self._lock:
            columns = self._columns()
            columns[self._column][self._place(name, columns)] = text
            write_manifest(self.folder, columns)

    def remove(self, name: str) -> None:
        """Delete a recording, its text and its audio. Raises ValueError for an unknown name."""
        with self._lock:
            columns = self._columns()
            path, row = self.path(name), self._place(name, columns)
            left = {column: [*cells[:row], *cells[row + 1 :]] for column, cells in columns.items()}
            if left["file_name"]:
                write_manifest(self.folder, left)
            else:
                (self.folder / "metadata.csv").unlink()
            path.unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """The audio file of a recording. Raises ValueError for an unknown name."""
        with self._lock:
            columns = self._columns()
            return self.folder / columns["file_name"][self._place(name, columns)]

    def _columns(self) -> dict[str, list[str]]:
        if not (self.folder / "metadata.csv").exists():
            return {"file_name": [], self._column: []}
        read = read_manifest(self.folder).columns
        columns = {name: [str(cell) for cell in cells] for name, cells in read.items()}
        return {self._column: [""] * len(columns["file_name"])} | columns

    def _place(self, name: str, columns: dict[str, list[str]]) -> int:
        places = [row for row, each in enumerate(columns["file_name"]) if Path(each).name == name]
        if not places:
            raise ValueError(f"There is no recording {name!r} any more; load the page again.")
        return places[0]


def _checked(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"The text has {len(text):,} characters, and at most {_LONGEST_TEXT:,} are taken.")
    return text


def _seconds(path: Path) -> float:
    info = path.stat()
    return _declared(str(path), info.st_size, info.st_mtime_ns)


@lru_cache(maxsize=4096)
def _declared(path: str, size: int, changed: int) -> float:
    return declared_seconds(path)
