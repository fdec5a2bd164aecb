"""FLAC files: the promised length and the MD5 of all samples, and files that were put one behind the other.

Source: RFC 9639, sections 8.2 and 9.1.
"""

from jaxmeta.data.containers import mp3
from jaxmeta.data.containers.crc16 import crc16
from jaxmeta.data.containers.parts import ContainerError, Part

MAGIC = b"fLaC"
_STREAM_INFO = (MAGIC + b"\x00\x00\x00\x22", MAGIC + b"\x80\x00\x00\x22")
"""How every FLAC stream begins: the marker, and the block of 34 bytes that describes it."""
_RATES = {1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000, 8: 32_000, 9: 44_100,
          10: 48_000, 11: 96_000}  # fmt: skip


def parts(data: bytes) -> list[Part]:
    """The recordings in a FLAC file; raises ContainerError where a header is damaged."""
    start = mp3.tags_end(data)
    if data[start : start + 8] not in _STREAM_INFO:
        raise ContainerError("the FLAC file does not begin with its stream info; it is damaged or cut")
    starts = [start]
    while (start := _next(data, start + 8)) >= 0:
        starts.append(start)
    ends = [*starts[1:], len(data)]
    found = [_part(data[start:end]) for start, end in zip(starts, ends, strict=True)]
    return found


def _next(data: bytes, start: int) -> int:
    return min((at for marker in _STREAM_INFO if (at := data.find(marker, start)) >= 0), default=-1)


def _part(content: bytes) -> Part:
    if len(content) < 42:
        raise ContainerError("truncated: the FLAC file ends within its header")
    packed = int.from_bytes(content[18:26], "big")
    rate, frames, md5 = packed >> 44, packed & (1 << 36) - 1, content[26:42]
    first = _first_frame(content)
    if first == len(content):
        return Part(content, frames)
    own = _RATES.get(content[first + 2] & 15, rate)
    if own != rate:  # No checksum covers the rate in the header.
        raise ContainerError(f"the FLAC header declares {rate} Hz and its first frame {own} Hz; it is damaged")
    if not frames:  # Of an encoder that could not go back; libsndfile cannot read on without a number.
        frames = _end_of_last_frame(content, first)
        content = content[:18] + (packed + frames).to_bytes(8, "big") + content[26:]
    return Part(content, frames, md5=md5 if md5.strip(b"\0") else None)


def _first_frame(content: bytes) -> int:
    """Where the first frame begins; the end of the file where there is none."""
    at, last = 4, False
    while not last and at + 4 <= len(content):
        last = content[at] >= 128
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    if not last or len(content) < at + 16 and at != len(content):
        raise ContainerError("truncated: the FLAC file ends within its header")
    if at < len(content) and content[at : at + 2] not in (b"\xff\xf8", b"\xff\xf9"):
        raise ContainerError("damaged: no FLAC frame follows the header")
    return at


def _end_of_last_frame(content: bytes, first: int) -> int:
    """The number of the sample after the last frame, which is the one whose checksum ends the file."""
    at = len(content)
    while (at := content.rfind(content[first : first + 2], first, at)) >= 0:
        if crc16(content[at:]) == 0:  # As of everything that has its checksum behind it.
            return _end_of_frame(content, at)
    raise ContainerError("truncated: the FLAC file ends in the middle of a frame")


def _end_of_frame(content: bytes, at: int) -> int:
    code, lead = content[at + 2] >> 4, content[at + 4]
    more = next(bit for bit in range(8) if not lead << bit & 0x80)  # As UTF-8 says how many bytes a number has.
    after = at + 4 + max(more, 1)
    number = lead & (0x7F >> more)
    for byte in content[at + 5 : after]:
        number = number << 6 | byte & 63
    if code in (6, 7):
        size = int.from_bytes(content[after : after + code - 5], "big") + 1
    else:
        size = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    fixed = content[at + 1] == 0xF8  # Then it is the number of the frame, else that of its first sample.
    return number * (int.from_bytes(content[8:10], "big") if fixed else 1) + size
