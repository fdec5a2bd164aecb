"""MP3 files: walks the frames (MPEG 1, 2 and 2.5, layer III), for a decoder searches for the next one in silence.

libsndfile estimates how many frames there are from the size of the file, and reads no further; it believes the tag of
an encoder. So every recording whose tag has no right checksum gets one from here, with the number that was counted.
Source: ISO/IEC 11172-3, section 2.4.1.3; the tag of encoders: gabriel.mp3-tech.org/mp3infotag.html.
"""

import functools
import struct
from typing import NamedTuple

from jaxmeta.data.containers.id3 import tags_end
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


Form = tuple[int, int, bool, int]
"""Version, sample rate, whether it is mono, and whether it has no checksum: alike in all frames of a recording."""


class _Recording(NamedTuple):
    form: Form
    starts: list[int]
    """Of its frames."""


def is_frame(head: bytes) -> bool:
    """Whether some bytes begin like an MP3 frame."""
    return _frame(head[:4]) is not None


def parts(data: bytes) -> list[Part]:
    """The recordings in an MP3 file; each tag of an encoder begins a new one.

    Raises:
      ContainerError: something between frames is neither frame nor tag, the last frame is cut, or frames that an
        encoder counted are missing.
    """
    recordings: list[_Recording] = []
    at, begins = tags_end(data), True
    while (frame := _frame(data[at : at + 4])) is not None:
        length, form = frame
        # The frame of a tag is silent: what follows its header is zeros.
        if begins or (data[at + 4 : at + 6] == b"\0\0" and _has_tag(data, at, form)):
            recordings.append(_Recording(form, []))
        elif form != recordings[-1].form:
            raise ContainerError(f"damaged: the MP3 frame at byte {at} is of another form than those before it")
        recordings[-1].starts.append(at)
        at, begins = at + length, False
        if data[at : at + 3] in (b"TAG", b"ID3"):
            at, begins = _between(data, at), True
    if at > len(data):
        raise ContainerError("truncated: the MP3 file ends in the middle of a frame")
    _check_rest(data, at, bool(recordings))
    ends = [each.starts[0] for each in recordings[1:]] + [at]
    return [_part(data, each, end) for each, end in zip(recordings, ends, strict=True)]


@functools.lru_cache(maxsize=1024)
def _frame(header: bytes) -> tuple[int, Form] | None:
    """Bytes and form of the frame with this header of 4 bytes; None where it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # Eleven bits set, layer III.
        return None
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return None
    hertz = _RATES[version][rate]
    factor = 144 if version == 3 else 72
    length = factor * _BITRATES[version == 3][bitrate] * 1000 // hertz + (header[2] >> 1 & 1)
    return length, (version, hertz, header[3] >> 6 == 3, header[1] & 1)


def _between(data: bytes, at: int) -> int:
    """The byte after tags that lie between two files; where the old kind of tag ends the file, that byte itself."""
    if data[at : at + 3] == b"TAG":
        return tags_end(data, at + 128) if at + 128 < len(data) else at
    return tags_end(data, at)


def _tag_offset(form: Form) -> int:
    """Bytes from the start of a frame to the tag of an encoder: its header and what a decoder needs beside it."""
    version, _, mono, _ = form
    return 4 + (17 if mono == (version == 3) else 32 if version == 3 else 9)


def _has_tag(data: bytes, at: int, form: Form) -> bool:
    at += _tag_offset(form)
    return data[at : at + 4] in (b"Xing", b"Info")


def _check_rest(data: bytes, at: int, any_frame: bool) -> None:
    rest = data[at:]
    if any_frame and (not rest.strip(b"\0") or rest[:3] == b"TAG" or rest[:8] in (b"APETAGEX", b"LYRICSBE")):
        return
    raise ContainerError(
        f"truncated or damaged: no MP3 frame begins at byte {at} (layer III alone is read, of a fixed form)"
    )


def _part(data: bytes, recording: _Recording, end: int) -> Part:
    """A recording; its encoder's tag says how many frames it has, and how many samples at its ends are none."""
    form, starts = recording
    tagged = _has_tag(data, starts[0], form)
    count = len(starts) - tagged
    samples = (1152 if form[0] == 3 else 576) * count
    header = data[starts[0] : starts[0] + 4]
    if not count:
        return Part(_silence(form, header, 0), 0)
    if tagged:
        trimmed = check_tag(data[starts[0] : starts[1]], _tag_offset(form), count)
        if trimmed is not None:
            whole = starts[0] == 0 and end == len(data)
            return Part(None if whole else data[starts[0] : end], samples - trimmed)
    return Part(_silence(form, header, count) + data[starts[tagged] : end], samples - _LATE)


def _silence(form: Form, header: bytes, count: int) -> bytes:
    """A frame of silence with the tag "Xing" that declares a number of frames."""
    # At the highest bit rate, so that there is room for the tag, and without a checksum.
    header = bytes([header[0], header[1] | 1, header[2] & 0x0D | 0xE0, header[3]])
    length, _ = _frame(header) or (0, form)
    return (header.ljust(_tag_offset(form), b"\0") + b"Xing" + struct.pack(">II", 1, count)).ljust(length, b"\0")
