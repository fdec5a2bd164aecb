"""Text that looks the same is the same: composed (NFC) and without spaces around it; and columns of such text."""

import os
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

_WASTE = 16
"""Times the characters that a column holds, beyond which it is not stored in fields as wide as its longest cell."""
_SMALL = 1 << 20
"""Bytes below which the width of a column does not matter."""


def canonical(text: str) -> str:
    """The text in Unicode's composed form, without white space at its ends: labels and names are compared so."""
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def column(values: Iterable[object]) -> np.ndarray:
    """Canonical strings [R] of the values: of fixed width, or objects where one long cell would make every row so wide.

    Both are compared, sorted and selected alike; only `np.char` wants `column.astype(str)`.
    """
    return stored([canonical(str(value)) for value in values])


def stored(cells: list[str]) -> np.ndarray:
    """Strings as they are, [R], in the form that `column` says."""
    if 4 * len(cells) * max(map(len, cells), default=0) > max(_SMALL, 4 * _WASTE * sum(map(len, cells))):
        return np.array(cells, dtype=object)
    return np.array(cells, dtype=np.str_)


def joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns one after the other, as narrow as `column` makes them."""
    return column([cell for each in columns for cell in each.tolist()])


def on_disk(path: str | os.PathLike[str]) -> str:
    """The path of the file that is meant: itself, or the only one whose name looks the same.

    Systems differ in how they store an accent, so that a list of files and the files themselves may disagree.
    """
    path = os.fspath(path)
    if os.path.lexists(path):
        return path
    folder, name = os.path.split(path)
    folder = on_disk(folder) if folder else folder
    try:
        alike = [each for each in os.listdir(folder or ".") if canonical(each) == canonical(name)]
    except OSError:
        return path
    return os.path.join(folder, alike[0]) if name and len(alike) == 1 else path
