"""The samples of a part of a file by libsndfile, held against what its container promised."""

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
_MORE = 1 << 22
"""Samples beyond those that the container promises which libsndfile may claim and be believed."""


def samples(path: str | os.PathLike[str], part: Part) -> tuple[np.ndarray, int]:
    """Decodes a part of a file to [S, C] float32, and its sample rate in Hz.

    Raises:
      ContainerError: it cannot be decoded, or gives fewer samples than the container promised.
    """
    try:
        if part.content is not None:
            return _decoded(io.BytesIO(part.content), part)
        if str(path).lower().endswith(".raw"):  # soundfile would take it for one without a header.
            with open(path, "rb") as file:
                return _decoded(file, part)
        return _decoded(os.fsencode(path), part)  # Names that are not UTF-8 are bytes.
    except soundfile.SoundFileError as error:
        raise ContainerError(str(getattr(error, "error_string", error)).rstrip(".")) from error
    except ContainerError:
        raise
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # What soundfile and numpy make of headers.
        raise ContainerError(f"cannot be decoded ({error})") from error


def _decoded(file: bytes | BinaryIO, part: Part) -> tuple[np.ndarray, int]:
    with soundfile.SoundFile(file) as sound:
        rate, claimed = sound.samplerate, sound.frames
        if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
            raise ContainerError(f"the header declares a sample rate of {rate} Hz; the file is damaged")
        promised = part.frames if part.clock is None else part.frames * rate // part.clock
        if sound.seekable() and 0 <= claimed <= 2 * promised + _MORE:
            values = sound.read(dtype="float32", always_2d=True)
        else:
            values, claimed = _in_blocks(sound), 0
    if len(values) < max(claimed, promised):
        raise ContainerError(
            f"truncated: declares {max(claimed, promised)} samples but only {len(values)} can be decoded"
        )
    return values, rate


def _in_blocks(sound: soundfile.SoundFile) -> np.ndarray:
    """All samples, where the codec cannot be sought in or the number of samples is not to be believed."""
    blocks = []
    while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
        blocks.append(block)
    return np.concatenate(blocks) if blocks else np.zeros((0, sound.channels), np.float32)
