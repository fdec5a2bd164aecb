"""FLAC files: their length by the header and by the last frame, and files that were put one behind the other.

libFLAC holds every frame against its checksum, and libsndfile passes that on. Nothing covers the header.
Source: RFC 9639, sections 8.2 and 9.1.
"""

import re
from collections.abc import Iterator

from jaxmeta.data.containers.crc16 import crc16
from jaxmeta.data.containers.id3 import tags_end
from jaxmeta.data.containers.parts import ContainerError, Part

MAGIC = b"fLaC"
_STREAM_INFO = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""How every FLAC stream begins: the marker, and the block of 34 bytes that describes it."""
_LEAST_FRAME = 10
"""Bytes of the shortest frame: a header of 6, a subframe of one sample in 2, a checksum of 2."""
_RATES = {1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000, 8: 32_000, 9: 44_100,
          10: 48_000, 11: 96_000}  # fmt: skip


def parts(data: bytes) -> list[Part]:
    """The recordings in a FLAC file; raises ContainerError where a header is damaged or the end is missing."""
    start = tags_end(data)
    starts = [found.start() for found in _STREAM_INFO.finditer(data, start)]
    if not starts or starts[0] != start:
        raise ContainerError("the FLAC file does not begin with its stream info; it is damaged or cut")
    if starts == [0]:
        return [_part(data, as_it_lies=True)]
    ends = [*starts[1:], len(data)]
    return [_part(data[start:end], as_it_lies=False) for start, end in zip(starts, ends, strict=True)]


def _part(content: bytes, as_it_lies: bool) -> Part:
    if len(content) < 42:
        raise ContainerError("truncated: the FLAC file ends within its header")
    packed = int.from_bytes(content[18:26], "big")
    rate, frames = packed >> 44, packed & (1 << 36) - 1
    first = _first_frame(content)
    own = _RATES.get(content[first + 2] & 15, rate) if first < len(content) else rate
    if own != rate:  # No checksum covers the header.
        raise ContainerError(f"the FLAC header declares {rate} Hz and its first frame {own} Hz; it is damaged")
    if frames and first < len(content) and not _ends_with(content, first, frames):
        raise ContainerError(f"truncated or damaged: no frame of the FLAC file ends at its last sample, {frames}")
    if not frames and first < len(content):  # Of an encoder that could not go back; libsndfile needs a number.
        frames, as_it_lies = _end_of_sound(content, first), False
        content = content[:18] + (packed + frames).to_bytes(8, "big") + content[26:]
    return Part(None if as_it_lies else content, frames)


def _first_frame(content: bytes) -> int:
    """Where the first frame begins; the end of the file where there is none."""
    at, last = 4, False
    while not last and at + 4 <= len(content):
        last = content[at] >= 128
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    if not last or (len(content) < at + _LEAST_FRAME and at != len(content)):
        raise ContainerError("truncated: the FLAC file ends within its header")
    if at < len(content) and content[at : at + 2] not in (b"\xff\xf8", b"\xff\xf9"):
        raise ContainerError("damaged: no FLAC frame follows the header")
    return at


def _ends_with(content: bytes, first: int, frames: int) -> bool:
    """Whether one of the last places that look like a frame is one that ends at a sample."""
    return any(_end_of_frame(content, at) == frames for at in _backwards(content, first))


def _end_of_sound(content: bytes, first: int) -> int:
    """The number of the sample after the last frame, which is the one whose checksum ends the file."""
    for at in _backwards(content, first):
        if crc16(content[at:]) == 0:  # As of everything that has its checksum behind it.
            return _end_of_frame(content, at)
    raise ContainerError("truncated: the FLAC file ends in the middle of a frame")


def _backwards(content: bytes, first: int) -> Iterator[int]:
    """Where the last frames may begin, the last of all first."""
    at = len(content)
    while (at := content.rfind(content[first : first + 2], first, at)) >= 0:
        if len(content) >= at + _LEAST_FRAME:
            yield at


def _end_of_frame(content: bytes, at: int) -> int:
    code, lead = content[at + 2] >> 4, content[at + 4]
    more = 8 - (lead ^ 0xFF).bit_length()  # Leading ones: as UTF-8 says how many bytes a number has.
    after = at + 4 + max(more, 1)
    number = lead & (0x7F >> more)
    for byte in content[at + 5 : after]:
        number = number << 6 | byte & 63
    if code in (6, 7):
        size = int.from_bytes(content[after : after + code - 5], "big") + 1
    else:
        size = 576 << code - 2 if 2 <= code < 6 else 256 << code - 8 if code >= 8 else 192 * code
    fixed = content[at + 1] == 0xF8  # Then it is the number of the frame, else that of its first sample.
    return number * (int.from_bytes(content[8:10], "big") if fixed else 1) + size
