"""Finds files that end before their container says they do: libsndfile decodes what is left and reports no error."""

import os
import struct
from typing import BinaryIO

_UNKNOWN_SIZE = 0xFFFFFFFF
"""Size field of a WAV file that was written to a pipe; its length cannot be checked."""
_OGG_PAGE = 65_307
"""Largest Ogg page in bytes (RFC 3533, section 6): 27 of header, 255 of segment table, 255 * 255 of segments."""
_OGG_LAST = 0x04
"""Flag of the last page of a stream."""


def truncation(path: str | os.PathLike[str]) -> str | None:
    """Says in words how a file falls short of its own header, or None where nothing is wrong.

    Reads the chunk sizes and the sample rate of RIFF/WAVE files and the last page of Ogg files; other formats carry
    their length in a way that the decoder checks.
    """
    size = os.path.getsize(path)
    if size == 0:
        return "empty file (0 bytes)"
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            return _wav_fault(file, size)
        if head[:4] == b"OggS":
            file.seek(max(0, size - _OGG_PAGE))
            return _ogg_fault(file.read())
    return None


def _wav_fault(file: BinaryIO, size: int) -> str | None:
    """Walks the chunks of a RIFF/WAVE file, from byte 12 on, up to the samples."""
    while True:
        header = file.read(8)
        if len(header) < 8:
            return "truncated: the WAV file ends before its data chunk"
        name, length = header[:4], struct.unpack("<I", header[4:])[0]
        start = file.tell()
        if name == b"data":
            if length != _UNKNOWN_SIZE and start + length > size:
                return f"truncated: the WAV header declares {length} bytes of samples, the file holds {size - start}"
            return None
        if name == b"fmt " and length >= 16:
            rate = struct.unpack("<HHI", file.read(8).ljust(8, b"\0"))[2]
            if rate == 0:
                return "the header declares a sample rate of 0 Hz; the file is damaged"
        file.seek(start + length + length % 2)  # Chunks are padded to even lengths.


def _ogg_fault(tail: bytes) -> str | None:
    """Checks that the last page in `tail` is complete and marked as the last."""
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    segments = page[26] if len(page) > 26 else 255
    if len(page) < 27 + segments + sum(page[27 : 27 + segments]):
        return "truncated: the Ogg file ends in the middle of a page"
    if not page[5] & _OGG_LAST:
        return "truncated: the Ogg file ends without its last page"
    return None
