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


_ROUNDED = 0.05
"""Seconds that a piece may reach beyond the end of its file: lists of pieces are rounded."""
Span = tuple[float, float | None]
"""Start and duration in seconds of a piece; None: to the end."""
_SOUGHT = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"}
"""Codecs in which libsndfile comes to a sample exactly and without decoding what lies before it."""


def span_samples(span: Span, frames: int, rate: int) -> tuple[int, int]:
    """First sample and number of samples of a piece.

    Args:
      span: of the piece.
      frames: samples of a channel in all.
      rate: Hz.
    Raises:
      ContainerError: the piece begins or ends beyond the end, or holds no sample.

    >>> span_samples((1.5, 0.5), 32_000, 16_000)
    (24000, 8000)
    """
    start, duration = span
    first = round(start * rate)
    last = frames if duration is None else round((start + duration) * rate)
    if first >= frames or last > frames + _ROUNDED * rate:
        ends = f"starts at {start:g} s" if first >= frames else f"ends at {start + (duration or 0):g} s"
        raise ContainerError(f"the piece {ends}, beyond the end of the recording at {frames / rate:.3f} s")
    if last <= first:
        raise ContainerError(f"the piece from {start:g} s on of {duration:g} s is shorter than one sample")
    return first, min(last, frames) - first


def samples(path: str | os.PathLike[str], part: Part, span: Span | None = None) -> tuple[np.ndarray, int]:
    """Decodes a part of a file to [S, C] float32, and its sample rate in Hz.

    Args:
      path: of the file.
      part: that its container promised.
      span: a piece of it that is to be decoded alone, as `seekable` allows; None: all of it.
    Raises:
      ContainerError: it cannot be decoded, or gives fewer samples than the container promised.
    """
    try:
        if part.content is not None:
            return _decoded(io.BytesIO(part.content), part, span)
        if str(path).lower().endswith(".raw"):  # soundfile would take it for one without a header.
            with open(path, "rb") as file:
                return _decoded(file, part, span)
        return _decoded(os.fsencode(path), part, span)  # Names that are not UTF-8 are bytes.
    except soundfile.SoundFileError as error:
        raise ContainerError(str(getattr(error, "error_string", error)).rstrip(".")) from error
    except ContainerError:
        raise
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # What soundfile and numpy make of headers.
        raise ContainerError(f"cannot be decoded ({error})") from error


def seekable(path: str | os.PathLike[str], parts: list[Part]) -> bool:
    """Whether a piece of a file can be decoded alone: WAV and FLAC of samples that do not build on earlier ones."""
    if len(parts) != 1 or parts[0].content is not None or str(path).lower().endswith(".raw"):
        return False
    try:
        form = soundfile.info(os.fsdecode(path))
    except (soundfile.SoundFileError, UnicodeError):
        return False
    return form.format in ("WAV", "WAVEX", "RF64", "FLAC") and form.subtype in _SOUGHT


def _decoded(file: bytes | BinaryIO, part: Part, span: Span | None) -> tuple[np.ndarray, int]:
    with soundfile.SoundFile(file) as sound:
        rate, claimed = sound.samplerate, sound.frames
        if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
            raise ContainerError(f"the header declares a sample rate of {rate} Hz; the file is damaged")
        promised = part.frames if part.clock is None else part.frames * rate // part.clock
        if span is not None:
            first, count = span_samples(span, promised, rate)
            sound.seek(first)
            values, promised, claimed = sound.read(count, dtype="float32", always_2d=True), count, 0
        elif sound.seekable() and 0 <= claimed <= 2 * promised + _MORE:
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
