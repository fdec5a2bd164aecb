"""What the chunk "fmt " of a WAV file says, held against itself: the fields repeat each other, so damage shows."""

import struct
from typing import NamedTuple

from jaxmeta.data.containers.parts import ContainerError

_EXTENSIBLE = 0xFFFE
_SUBTYPE = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
_REFUSED = {0x50: "MPEG audio", 0x55: "MP3", 0x161: "WMA", 0xFF: "AAC", 0x674F: "Vorbis"}
_EXACT = (1, 3, 6, 7)
"""PCM, float, A-law and mu-law: a block is one sample of every channel."""


class WavForm(NamedTuple):
    """How bytes become samples."""

    block: int
    """Bytes that are decoded together."""
    samples: int
    """Samples of a channel in a block."""
    exact: bool
    """Whether the samples can only be whole blocks."""


def wav_form(header: bytes, order: str) -> WavForm:
    """Reads the content of a chunk "fmt ".

    Args:
      header: of the chunk, without its name and length.
      order: "<" or ">".
    Raises:
      ContainerError: a codec that is not read, or fields that contradict each other.
    """
    if len(header) < 16:
        raise ContainerError("the WAV header is too short; the file is damaged")
    codec, channels, rate, byte_rate, block, bits = struct.unpack_from(f"{order}HHIIHH", header)
    if codec == _EXTENSIBLE and header[26:40] == _SUBTYPE:
        codec = struct.unpack_from(f"{order}H", header, 24)[0]
    if rate == 0:
        raise ContainerError("the header declares a sample rate of 0 Hz; the file is damaged")
    if not channels or not block:
        raise ContainerError(f"the WAV header declares {channels} channels and blocks of {block} bytes; it is damaged")
    form = _form(codec, channels, block, bits)
    # A header may leave the bytes a second open, or round them.
    expected = rate * form.block / max(form.samples, 1)
    if form.samples < 1 or (byte_rate and abs(byte_rate - expected) > 1):
        raise ContainerError(
            f"the WAV header contradicts itself: {channels} channels of {bits} bits at {rate} Hz, in blocks of {block} "
            f"bytes, {byte_rate} bytes a second; the file is damaged"
        )
    return form


def _form(codec: int, channels: int, block: int, bits: int) -> WavForm:
    """Samples below 1 where block, channels and bits do not fit the codec."""
    if codec in _EXACT:
        width = 8 if codec > 3 else bits
        fits = 0 < width <= 64 and block == channels * -(-width // 8)
        return WavForm(block, int(fits), True)
    if codec == 2:
        return WavForm(block, (block - 7 * channels) * 2 // channels + 2, False)
    if codec == 0x11:
        return WavForm(block, (block - 4 * channels) * 2 // channels + 1, False)
    if codec == 0x31:
        return WavForm(block, 320 if (block, channels) == (65, 1) else 0, False)
    if codec == 0x38:
        return WavForm(block, 160 if block in (42, 62, 82) and channels == 1 else 0, False)
    if codec == 0x40:
        return WavForm(1, 2 if channels == 1 else 0, False)  # Its header's block means nothing.
    name = _REFUSED.get(codec, f"codec {codec:#06x}")
    raise ContainerError(f"is WAV with {name} in it, which is not read; convert it, as by `ffmpeg -i FILE FILE.flac`")
