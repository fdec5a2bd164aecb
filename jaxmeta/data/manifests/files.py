"""Which files on the disk the rows of a manifest name, and whether they lie where they may."""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from jaxmeta.data.text import canonical, on_disk

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
"""Names that mean the same on every system, and are written in one way only."""


class Locator:
    """Finds files by the names in a manifest, within its folder and within other folders that a user allows.

    Args:
      folder: that names are relative to; absolute and free of links.
      roots: further folders: a name may be relative to one of them, or the absolute path of a file in one.
    Raises:
      ValueError: a root is no folder.
    """

    def __init__(self, folder: str | os.PathLike[str], roots: Iterable[str | os.PathLike[str]] = ()) -> None:
        self.folder = os.fspath(folder)
        self.roots = tuple(dict.fromkeys(os.path.realpath(root) for root in roots))
        for root in self.roots:
            if not os.path.isdir(root):
                raise ValueError(f"root {root}: no such folder; name the folder that the recordings lie in.")
        self._folders = tuple(dict.fromkeys((self.folder, *self.roots)))
        self._inside: dict[str, bool] = {}  # Resolving each folder once keeps 10,000 rows well under a second.

    def find(self, name: str) -> str:
        """The name of a file as it is on the disk, relative to the folder, or absolute in one of the roots.

        Raises:
          ValueError: there is no such file, it is empty or no file, it lies elsewhere, or in several of the folders.
        """
        if not self.roots and not os.path.isabs(name):
            try:  # A million rows take one look each.
                full, info = f"{self.folder}/{name}", os.lstat(f"{self.folder}/{name}")
            except OSError:
                pass
            else:
                if stat.S_ISREG(info.st_mode) and info.st_size and self._lies_inside(full[: full.rindex("/")]):
                    return name
        full, allowed = self._full(name), " and ".join(self._folders)
        try:
            info = os.lstat(full)
            linked = stat.S_ISLNK(info.st_mode)
            inside = self._lies_inside(os.path.dirname(full)) and (not linked or self._is_inside(full))
            info = os.stat(full) if linked else info
        except FileNotFoundError as error:
            raise ValueError(
                f"cannot open {name!r}, which is not in {allowed}; copy it there, or give --root with its folder."
            ) from error
        except OSError as error:
            raise ValueError(f"cannot open {name!r} ({error.strerror}).") from error
        if not inside:
            raise ValueError(
                f"{name!r} is a link out of {allowed}; copy the file there, or give --root with its folder."
                if not os.path.isabs(name)
                else f"{name!r} lies outside of {allowed}; give --root with its folder."
            )
        if not stat.S_ISREG(info.st_mode):
            raise ValueError(f"{name!r} is not a file.")
        if info.st_size == 0:
            raise ValueError(f"{name!r} is an empty file (0 bytes); remove the row.")
        if full == os.path.join(self.folder, name):
            return name
        own = full == self.folder or full.startswith(os.path.join(self.folder, ""))
        return os.path.relpath(full, self.folder) if own else full

    def _full(self, name: str) -> str:
        """The file of a row: of this very name, or of the name that it has without spaces or in another form."""
        if os.path.isabs(name):
            return name if os.path.lexists(name) else on_disk(name)
        places = [os.path.join(root, name) for root in self._folders]
        held = [place for place in places if os.path.lexists(place)]
        if not held:
            stripped = [on_disk(os.path.join(root, name.strip())) for root in self._folders]
            held = [place for place in stripped if os.path.lexists(place)] or stripped[:1]
        if len(held) > 1:
            raise ValueError(f"{name!r} is there twice, as {held[0]} and {held[1]}; name fewer roots.")
        return held[0]

    def _lies_inside(self, folder: str) -> bool:
        if folder not in self._inside:
            self._inside[folder] = self._is_inside(folder)
        return self._inside[folder]

    def _is_inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return any(os.path.commonpath([real, root]) == root for root in self._folders)


def safe_name(name: str, absolute: bool = False) -> bool:
    """Whether a name cannot lead out of the folder that it is relative to, whatever is on the disk.

    Args:
      name: of a file.
      absolute: absolute paths will do, too.
    """
    if _PLAIN.fullmatch(name) and ".." not in name:
        return True
    path = PureWindowsPath(name)
    return bool(name) and ".." not in path.parts and (absolute or not (os.path.isabs(name) or path.anchor))


def first_repeat(
    names: Sequence[str], seconds: Sequence[tuple[float | None, float | None]] = ()
) -> tuple[int, int] | None:
    """The first row that repeats an earlier one, and that one, counted from 0; None where all are distinct.

    Args:
      names: of files.
      seconds: start and duration of each row, which tell pieces of one file apart; empty: rows are whole files.
    """
    first: dict[object, int] = {}
    for row, name in enumerate(names):
        known = name if _PLAIN.fullmatch(name) else canonical(str(PurePosixPath(name)))
        before = first.setdefault((known, (seconds[row][0] or 0.0), seconds[row][1]) if seconds else known, row)
        if before != row:
            return row, before
    return None


def inside_of(path: str | os.PathLike[str], folders: Iterable[str | os.PathLike[str]]) -> Path | None:
    """The first of the folders that a file lies in once all links are followed, or None."""
    real = Path(os.path.realpath(path))
    return next((Path(each) for each in folders if real.is_relative_to(os.path.realpath(each))), None)
