"""Text files of other tools: in UTF-8 with or without a byte order mark, with line ends of any system, bounded."""

import codecs
import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxmeta.data.importers.rows import Rejection, SourceError

_LONGEST_LINE = 1 << 24
"""Bytes."""
_LARGEST_TEXT = 1 << 28
"""Bytes of a file that is read at once."""
_EXPANSION, _HARMLESS = 200, 1 << 26
"""Times the bytes of a compressed file that its content may have, and bytes that are always read."""


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file, or of one that gzip packed (.gz), with their numbers, without their ends.

    Raises:
      SourceError: it cannot be read, is not UTF-8, has a line of more than 16 MiB, or unpacks to an absurd size.
    """
    for item in lenient_lines(path):
        if isinstance(item, Rejection):
            raise SourceError(f"{path}, line {item.number}: {item.reason}.")
        yield item


def lenient_lines(path: Path) -> Iterator[tuple[int, str] | Rejection]:
    """Like `lines`, but a line that is not UTF-8 is a rejection."""
    with _opened(path) as file:
        place, read = 0, 0
        most = max(_HARMLESS, _EXPANSION * path.stat().st_size)
        while line := file.readline(_LONGEST_LINE + 1):
            place, read = place + 1, read + len(line)
            if len(line) > _LONGEST_LINE:
                raise SourceError(f"{path}, line {place}: longer than {_LONGEST_LINE:,} bytes; is it a list?")
            if read > most:
                raise SourceError(f"{path}: unpacks to more than {most:,} bytes; unpack it yourself if you trust it.")
            if place == 1:
                line = _without_mark(path, line)
            try:
                yield place, line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield Rejection(path, place, f"not UTF-8 ({error.reason}, byte {error.start}); save the file as UTF-8")


def text(path: Path) -> str:
    """All of a text file in UTF-8, or in UTF-16 with a byte order mark, with line ends as \\n.

    Raises:
      SourceError: it cannot be read, is in neither, or is larger than 256 MiB.
    """
    with _opened(path) as file:
        data = file.read(_LARGEST_TEXT + 1)
    if len(data) > _LARGEST_TEXT:
        raise SourceError(f"{path}: larger than {_LARGEST_TEXT:,} bytes; is it a text?")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        decoded = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceError(
            f"{path}, line {line}: not {error.encoding.upper()} ({error.reason}); save the file as UTF-8."
        ) from error
    return decoded.replace("\r\n", "\n").replace("\r", "\n")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if not path.is_file():
        raise SourceError(f"{path}: no such file.")
    try:
        with path.open("rb") as raw:
            file: BinaryIO = raw
            if path.suffix == ".gz":
                file = io.BufferedReader(gzip.GzipFile(fileobj=raw))  # type: ignore[arg-type]
            yield file
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{path}: not a whole gzip file ({error}).") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error}).") from error


def _without_mark(path: Path, line: bytes) -> bytes:
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError(f"{path}: is UTF-16; save the file as UTF-8.")
    return line.removeprefix(codecs.BOM_UTF8)
