"""The tag that encoders leave in a first frame of silence: how many frames there are, and a checksum of itself.

Source: gabriel.mp3-tech.org/mp3infotag.html. Its checksum of the frames is not used, for tools that change
their loudness leave it as it was.
"""

import struct

from jaxmeta.data.containers.crc16 import crc16_mirrored
from jaxmeta.data.containers.parts import ContainerError

_OWN = 34
"""Bytes of the part of LAME's own up to the checksum of the tag."""
_FFMPEG = 190
"""Bytes that ffmpeg counts, wherever its checksum lies."""


def check_tag(frame: bytes, tag: int, count: int) -> int | None:
    """Holds the tag against the frames behind it.

    Args:
      frame: the first frame, which is silent.
      tag: where the tag begins in it.
      count: frames behind it.
    Returns:
      Samples that are none, at both ends; None where no checksum shows that the tag can be believed in this.
    Raises:
      ContainerError: frames are missing.
    """
    flags, declared = struct.unpack_from(">II", frame.ljust(tag + 12, b"\0"), tag + 4)
    if flags & 1 and count < declared:
        raise ContainerError(f"truncated: the MP3 file declares {declared} frames and holds {count}")
    own = tag + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if len(frame) < own + _OWN + 2:
        return None
    checksum = struct.unpack_from(">H", frame, own + _OWN)[0]
    if checksum != crc16_mirrored(frame[: own + _OWN]):
        # Some count the zeros where it is to be written.
        blank = frame[: own + _OWN] + b"\0\0" + frame[own + _OWN + 2 : _FFMPEG]
        if checksum != crc16_mirrored(blank):
            return None
    delays = int.from_bytes(frame[own + 21 : own + 24], "big")
    return (delays >> 12) + (delays & 0xFFF) if flags & 1 and declared == count else None
