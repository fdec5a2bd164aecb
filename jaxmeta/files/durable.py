"""Files that are either whole or absent, whenever the process or the machine stops."""

import contextlib
import fcntl
import json
import math
import os
import struct
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

DAMAGE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, OverflowError, RuntimeError,
    SyntaxError, tokenize.TokenError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What reading a damaged .npy, .npz or JSON file raises; numpy reads headers as Python reads source."""


def sync(path: Path) -> None:
    """Flush a file, or the list of names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of writing that name no file, as those of a full disk, name this one.

    Raises:
      OSError: of the same kind, with the file's name.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def replacing(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """A draft to write in the place of a file, which it replaces at once when the block ends without an error.

    A reader, or a crash, sees the old file or the new one. Several processes may write the same file.
    Args:
      path: of the file; its folder must exist.
      flush: put the draft on the disk first, so that it is whole after a loss of power too.
    Raises:
      OSError: the disk is full or the folder missing; names the file, and the old one is untouched.
    """
    draft = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    with naming(path):
        try:
            yield draft
            if flush:
                sync(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        if flush:
            sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace a file by new text at once, as `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by new content at once, as `replacing`."""
    with replacing(path) as draft:
        draft.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Replace a file by `plain(value)` as indented JSON, at once."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """`plain(value)` as indented JSON, with a line break at the end."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """The value as JSON can hold it, so that loads(dumps(plain(x))) == plain(x).

    Arrays become lists and paths strings. JSON has no NaN and no infinity: they become the strings "NaN", "Infinity"
    and "-Infinity", which float() reads back.

    >>> plain({"loss": float("nan"), 3: np.array([1, 2])})
    {'loss': 'NaN', '3': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):  # np.float64 too
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return float(value)
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return plain(array.astype(float).tolist() if array.dtype.kind not in "biuSU" else array.tolist())
    return str(value)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the system lets go of it however the process ends.

    Raises:
      ValueError: another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{folder} is in use by another running process; wait for it, or use another folder."
            ) from error
        yield
    finally:
        os.close(descriptor)
