"""Recordings that lie beside a list of the same name."""

import os
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3")
"""Of files that can be read, see docs/data.md; the first that is there is taken."""


def beside(file: Path) -> Path | None:
    """The recording with the name of a list, in its folder; None where there is none."""
    for suffix in SUFFIXES:
        for each in (suffix, suffix.upper()):
            if (recording := file.with_suffix(each)).is_file():
                return recording
    return None


def files_of(path: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """The file itself, or the files of a folder and of those in it with one of the suffixes, sorted.

    Folders that are links are not entered, so that none is entered twice.
    """
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(suffixes):
                yield Path(folder, name)
