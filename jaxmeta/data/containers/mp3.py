"""MP3 files: walks the frames (MPEG 1, 2 and 2.5, layer III), for a decoder searches for the next one in silence.

libsndfile estimates how many frames there are from the size of the file, and reads no further; it believes the tag of
an encoder. So every recording whose tag has no right checksum gets one from here, with the number that was counted.
Source: ISO/IEC 11172-3, section 2.4.1.3; the tag of encoders: gabriel.mp3-tech.org/mp3infotag.html.
"""

import struct
from typing import NamedTuple

from jaxmeta.data.containers.mp3_tag import check_tag
from jaxmeta.data.containers.parts import ContainerError, Part

_BITRATES = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
"""kbit/s by index, of MPEG 2 and 2.5, and of MPEG 1."""
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Hz by version and index."""
_LATE = 529
"""Samples by which every decoder is late, and which libsndfile leaves out."""


class _Frame(NamedTuple):
    start: int
    length: int
    form: tuple[int, int, bool, int]
    """Version, sample rate, whether it is mono, and whether it has a checksum: alike in all frames of a recording."""

    @property
    def samples(self) -> int:
        return 1152 if self.form[0] == 3 else 576


def is_frame(head: bytes) -> bool:
    """Whether some bytes begin like an MP3 frame."""
    return _frame(head, 0) is not None


def parts(data: bytes) -> list[Part]:
    """The recordings in an MP3 file; each tag of an encoder begins a new one.

    Raises:
      ContainerError: something between frames is neither frame nor tag, the last frame is cut, or frames that an
        encoder counted are missing.
    """
    recordings: list[list[_Frame]] = []
    at, begins = tags_end(data), True
    while (frame := _frame(data, at)) is not None:
        if begins or _tag(data, frame) is not None:
            recordings.append([])
        elif frame.form != recordings[-1][0].form:
            raise ContainerError(f"damaged: the MP3 frame at byte {at} is of another form than those before it")
        recordings[-1].append(frame)
        end = frame.start + frame.length
        at = end + 128 * (data[end : end + 3] == b"TAG" and end + 128 < len(data))
        at = tags_end(data, at)
        begins = at > end
    if at > len(data):
        raise ContainerError("truncated: the MP3 file ends in the middle of a frame")
    _check_rest(data, at, bool(recordings))
    return [_part(data, frames) for frames in recordings]


def tags_end(data: bytes, at: int = 0) -> int:
    """The byte after the ID3v2 tags that begin at a byte; that byte itself where there are none."""
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 127
        at += 10 + size + 10 * bool(data[at + 5] & 16)
    return at


def _frame(data: bytes, at: int) -> _Frame | None:
    """The frame whose header lies at a byte; None where there is none. It may be longer than the data."""
    if len(data) < at + 4 or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:  # Eleven bits set, layer III.
        return None
    version, bitrate, rate = data[at + 1] >> 3 & 3, data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return None
    hertz = _RATES[version][rate]
    factor = 144 if version == 3 else 72
    length = factor * _BITRATES[version == 3][bitrate] * 1000 // hertz + (data[at + 2] >> 1 & 1)
    return _Frame(at, length, (version, hertz, data[at + 3] >> 6 == 3, data[at + 1] & 1))


def _tag_offset(form: tuple[int, int, bool, int]) -> int:
    """Bytes from the start of a frame to the tag of an encoder: its header and what a decoder needs beside it."""
    version, _, mono, _ = form
    return 4 + (17 if mono == (version == 3) else 32 if version == 3 else 9)


def _tag(data: bytes, frame: _Frame) -> int | None:
    """Where the tag "Xing" or "Info" of an encoder lies in a frame of silence, or None."""
    at = frame.start + _tag_offset(frame.form)
    return at if data[at : at + 4] in (b"Xing", b"Info") else None


def _check_rest(data: bytes, at: int, any_frame: bool) -> None:
    rest = data[at:]
    if any_frame and (not rest.strip(b"\0") or rest[:3] == b"TAG" or rest[:8] in (b"APETAGEX", b"LYRICSBE")):
        return
    raise ContainerError(
        f"truncated or damaged: no MP3 frame begins at byte {at} (layer III alone is read, of a fixed form)"
    )


def _part(data: bytes, frames: list[_Frame]) -> Part:
    """A recording; its encoder's tag says how many frames it has, and how many samples at its ends are none."""
    end, first = frames[-1].start + frames[-1].length, frames[0]
    tag = _tag(data, first)
    sound = frames[tag is not None :]
    if not sound:
        return Part(_silence(first.form, data[first.start : first.start + 4], 0), 0)
    start, total = sound[0].start, len(sound) * first.samples
    if tag is not None:
        trimmed = check_tag(data[first.start : start], tag - first.start, len(sound), data[start:end])
        if trimmed is not None:
            return Part(data[first.start : end], total - trimmed)
    header = data[start : start + 4]
    return Part(_silence(first.form, header, len(sound)) + data[start:end], total - _LATE)


def _silence(form: tuple[int, int, bool, int], header: bytes, count: int) -> bytes:
    """A frame of silence with the tag "Xing" that declares a number of frames."""
    # At the highest bit rate, so that there is room for the tag, and without a checksum.
    header = bytes([header[0], header[1] | 1, header[2] & 0x0D | 0xE0, header[3]])
    frame = _frame(header, 0)
    at = _tag_offset(form)
    content = header.ljust(at, b"\0") + b"Xing" + struct.pack(">II", 1, count)
    return content.ljust(frame.length if frame else 0, b"\0")
