"""The samples of a part of a file by libsndfile, held against what its container promised."""

import hashlib
import io
import os
from typing import BinaryIO

import numpy as np
import soundfile

from jaxmeta.data.containers.parts import ContainerError, Part

SAMPLE_RATES = (1_000, 1_000_000)
"""Plausible sample rates in Hz; a rate outside them is a damaged header, and resampling from it could fill memory."""
_BLOCK = 1 << 18
"""Samples of a channel that are read at once where nobody knows how many there are."""
_MOST_PER_BYTE = 4096
"""Samples that a byte can stand for, in the silence of a lossless file; a header that claims more is not believed."""


def samples(path: str | os.PathLike[str], part: Part) -> tuple[np.ndarray, int]:
    """Decodes a part of a file to [S, C] float32, and its sample rate in Hz.

    Raises:
      ContainerError: it cannot be decoded, gives fewer samples than the container promised, or others (FLAC).
    """
    try:
        with open(path, "rb") if part.content is None else io.BytesIO(part.content) as file:
            return _decoded(file, part)
    except soundfile.SoundFileError as error:
        raise ContainerError(str(getattr(error, "error_string", error)).rstrip(".")) from error
    except ContainerError:
        raise
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # What soundfile and numpy make of headers.
        raise ContainerError(f"cannot be decoded ({error})") from error


def _decoded(file: BinaryIO, part: Part) -> tuple[np.ndarray, int]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    with soundfile.SoundFile(file) as sound:
        rate, claimed = sound.samplerate, sound.frames
        if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
            raise ContainerError(f"the header declares a sample rate of {rate} Hz; the file is damaged")
        width = "int32" if part.md5 else "float32"
        if sound.seekable() and 0 <= claimed <= size * _MOST_PER_BYTE:
            values = sound.read(dtype=width, always_2d=True)
        else:
            values, claimed = _in_blocks(sound, width), 0
        promised = max(claimed, part.frames if part.clock is None else part.frames * rate // part.clock)
        if len(values) < promised:
            raise ContainerError(
                f"truncated: declares {promised} samples but only {len(values)} can be decoded"
            )
        if part.md5:
            values = _checked(values, sound.subtype, part.md5)
    return values, rate


def _in_blocks(sound: soundfile.SoundFile, width: str) -> np.ndarray:
    """All samples, where the codec cannot be sought in or the number of samples is not to be believed."""
    blocks = []
    while len(block := sound.read(_BLOCK, dtype=width, always_2d=True)):
        blocks.append(block)
    return np.concatenate(blocks) if blocks else np.zeros((0, sound.channels), width)


def _checked(values: np.ndarray, subtype: str, md5: bytes) -> np.ndarray:
    """Integers that fill 32 bits from the top as float32, once their MD5 is that of the file (RFC 9639, 8.2)."""
    width = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3}[subtype]
    raw = np.ascontiguousarray(values, dtype="<i4").view(np.uint8).reshape(-1, 4)[:, 4 - width :]
    if hashlib.md5(raw.tobytes(), usedforsecurity=False).digest() != md5:
        raise ContainerError("damaged: the decoded samples have another MD5 than the FLAC header says")
    return values.astype(np.float32) * np.float32(2.0**-31)
