"""Audio files to waveforms and back, refusing every file that would silently give less than it declares.

Decoding is soundfile (libsndfile: WAV, FLAC, Ogg Vorbis, Ogg Opus, MP3), resampling is soxr through librosa.
libsndfile returns what is left of a truncated WAV or Ogg file, and NaN samples, without an error; hence the checks.
"""

import functools
import logging
import os
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import soundfile

from jaxmeta.data.containers import truncation
from jaxmeta.durable import replacing

SAMPLE_RATES = (1_000, 1_000_000)
"""Plausible sample rates in Hz; a rate outside them is a damaged header, and resampling from it could fill memory."""

_log = logging.getLogger("jaxmeta")


class AudioError(ValueError):
    """An audio file cannot be used; the message names the file and the fault."""


class Recording(NamedTuple):
    """A decoded file."""

    waveform: np.ndarray
    """[S] float32 in about [-1, 1], mono, at the sample rate asked for."""
    channels: int
    """Channels of the file, before they were averaged."""


def read_audio(path: str | os.PathLike[str], sample_rate: int = 16_000) -> np.ndarray:
    """Decodes a file to a mono waveform, float32 [S], at `sample_rate` Hz.

    Channels are averaged; the first file for which that happens is logged (logger "jaxmeta", once a process).
    Raises:
      AudioError: the file is missing, empty, truncated, not audio, holds no samples or NaN or infinite ones, or
        declares an impossible sample rate.
    """
    recording = decode(path, sample_rate)
    if recording.channels > 1:
        say_once(f"stereo: {path} and others like it are mixed down to mono.", topic="read_audio")
    return recording.waveform


def decode(path: str | os.PathLike[str], sample_rate: int = 16_000) -> Recording:
    """Like `read_audio`, but returns the number of channels instead of logging that they were mixed down."""
    fault = truncation(path) if os.path.isfile(path) else "no such file"
    if fault:
        raise AudioError(f"{path}: {fault}.")
    try:
        with soundfile.SoundFile(path) as file:
            declared, rate = file.frames, file.samplerate
            if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
                raise AudioError(f"{path}: the header declares a sample rate of {rate} Hz; the file is damaged.")
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: soundfile takes a name in .raw for headerless.
        fault = getattr(error, "error_string", str(error)).rstrip(".")
        raise AudioError(f"{path}: not readable as WAV, FLAC, Ogg, Opus or MP3 ({fault}).") from error
    if len(samples) < declared:
        raise AudioError(f"{path}: truncated: declares {declared} samples but only {len(samples)} can be decoded.")
    if not len(samples):
        raise AudioError(f"{path}: holds no samples.")
    if not np.isfinite(samples).all():
        first = int(np.flatnonzero(~np.isfinite(samples).all(axis=1))[0])
        raise AudioError(f"{path}: sample {first} is {samples[first].tolist()}; NaN and infinity are not audio.")
    waveform = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if rate != sample_rate:
        waveform = librosa.resample(waveform, orig_sr=rate, target_sr=sample_rate, res_type="soxr_hq")
    return Recording(np.ascontiguousarray(waveform, dtype=np.float32), samples.shape[1])


def write_audio(path: str | os.PathLike[str], waveform: np.ndarray, sample_rate: int) -> None:
    """Writes a mono waveform [S] in [-1, 1] as 16-bit WAV or FLAC, by the suffix of `path`, in one step.

    Samples beyond [-1, 1] are clipped, as 16 bits cannot hold them.
    Raises:
      AudioError: another suffix, or a waveform that is empty, not one-dimensional or not finite.
    """
    path, waveform = Path(path), np.asarray(waveform)
    if path.suffix.lower() not in (".wav", ".flac"):
        raise AudioError(f"{path}: write_audio writes .wav and .flac, not {path.suffix!r}.")
    if waveform.ndim != 1 or not waveform.size or not np.isfinite(waveform).all():
        raise AudioError(f"{path}: needs a non-empty, finite waveform [S], got shape {waveform.shape}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, flush=False) as draft:
        soundfile.write(draft, np.clip(waveform, -1.0, 1.0), sample_rate, subtype="PCM_16")


def say_once(message: str, topic: str) -> None:
    """Logs `message` unless this process has already logged one on the same topic."""
    if topic not in _said():
        _said().add(topic)
        _log.warning(message)


@functools.cache
def _said() -> set[str]:
    return set()
