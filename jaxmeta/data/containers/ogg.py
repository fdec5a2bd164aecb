"""Ogg files (Vorbis, Opus): every page by its checksum, its number and its place in the stream.

libogg skips a page whose checksum is wrong, and everything up to the next that it knows, without a word.
Source: RFC 3533, section 6.
"""

import itertools
import struct
import zlib
from typing import NamedTuple

from jaxmeta.data.containers.crc16 import MIRRORED
from jaxmeta.data.containers.parts import ContainerError, Part

MAGIC = b"OggS"
_HEADER = struct.Struct("<4sBBqIIIB")
_FIRST, _LAST = 0x02, 0x04
_CODECS = {b"\x01vorbis": None, b"OpusHead": 48_000}
"""First bytes of a stream -> Hz that its positions are counted at; None: its sample rate."""


class _Page(NamedTuple):
    flags: int
    position: int
    """Samples that are complete with this page; -1 where none becomes so."""
    serial: int
    number: int
    end: int
    """Byte after it."""


def parts(data: bytes) -> list[Part]:
    """The recordings in an Ogg file, one for each of its chained streams.

    Raises:
      ContainerError: a page is missing, damaged or cut, streams lie within each other, or the codec is not read.
    """
    found, start = [], 0
    while start < len(data) and (start == 0 or (data[start : start + 3] != b"TAG" and data[start:].strip(b"\0"))):
        pages = _stream(data, start)
        end = pages[-1].end
        found.append(_part(data, start, pages))
        start = end
    return [found[0]._replace(content=None)] if len(found) == 1 and start == len(data) else found


def _stream(data: bytes, start: int) -> list[_Page]:
    """The pages of the stream that begins at a byte."""
    pages: list[_Page] = []
    while not pages or not pages[-1].flags & _LAST:
        at = pages[-1].end if pages else start
        page = _page(data, at)
        if not pages and not page.flags & _FIRST:
            raise ContainerError(f"damaged: the Ogg stream at byte {at} begins in its middle")
        if pages:
            _check_next(pages[-1], page, at)
        pages.append(page)
    return pages


def _check_next(last: _Page, page: _Page, at: int) -> None:
    if page.flags & _FIRST and page.serial != last.serial:
        raise ContainerError(
            "the Ogg file holds several streams at once, or one without its last page (truncated); convert it"
        )
    if page.flags & _FIRST or page.serial != last.serial or page.number != (last.number + 1) % (1 << 32):
        raise ContainerError(
            f"damaged: the Ogg page at byte {at} is number {page.number}, and {last.number + 1} is missing"
        )


def _page(data: bytes, at: int) -> _Page:
    if at >= len(data):
        raise ContainerError("truncated: the Ogg file ends without its last page")
    if data[at : at + 4] != MAGIC[: len(data) - at]:
        raise ContainerError(f"damaged: no Ogg page begins at byte {at}")
    if at + _HEADER.size > len(data):
        raise ContainerError("truncated: the Ogg file ends in the middle of a page")
    _, version, flags, position, serial, number, checksum, segments = _HEADER.unpack_from(data, at)
    body = at + _HEADER.size
    end = body + segments + sum(data[body : body + segments])
    if end > len(data) or body + segments > len(data):
        raise ContainerError("truncated: the Ogg file ends in the middle of a page")
    # The checksum counts as zero in itself.
    if version or _checksum(data[at : at + 22] + b"\0\0\0\0" + data[at + 26 : end]) != checksum:
        raise ContainerError(f"damaged: the Ogg page at byte {at} has another checksum than it says")
    return _Page(flags, position, serial, number, end)


def _checksum(page: bytes) -> int:
    """CRC-32 of polynomial 0x04c11db7 from the top bit down, from 0: zlib's, of mirrored bits."""
    mirrored = zlib.crc32(page.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _part(data: bytes, start: int, pages: list[_Page]) -> Part:
    body = start + _HEADER.size + data[start + 26]
    codec = next((name for name in _CODECS if data.startswith(name, body)), None)
    if codec is None:
        raise ContainerError("is Ogg without Vorbis or Opus in it, which is not read; convert it, as by ffmpeg")
    reached = [page.position for page in pages if page.position > 0]
    if any(after < before for before, after in itertools.pairwise(reached)):
        raise ContainerError("damaged: the positions in the Ogg file go backwards")
    # A stream may be a piece of a longer one, whose positions begin anywhere: what its first page adds is not counted.
    return Part(data[start : pages[-1].end], reached[-1] - reached[0] if reached else 0, clock=_CODECS[codec])
