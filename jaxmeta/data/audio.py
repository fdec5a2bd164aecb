"""Audio files to waveforms and back, refusing every file that would silently give less than it declares.

Containers are checked by `containers`, decoding is soundfile (libsndfile), resampling is soxr through librosa.
libsndfile returns what is left of a truncated file, and NaN samples, without an error; hence the checks.
"""

import functools
import io
import logging
import os
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import soundfile

from jaxmeta.data.containers import ContainerError, Part, form, parts, samples, seekable, span_samples
from jaxmeta.data.containers.channels import mix_down
from jaxmeta.data.manifests.clips import Clip, as_clip
from jaxmeta.data.text import on_disk
from jaxmeta.files.durable import replacing

_UNKNOWN = 1 << 40
"""More samples than any file holds: libsndfile's word for a length that the header leaves open."""
_log = logging.getLogger("jaxmeta")


class AudioError(ValueError):
    """An audio file cannot be used; the message names the file and the fault."""


class Recording(NamedTuple):
    """A decoded file."""

    waveform: np.ndarray
    """[S] float32 in about [-1, 1], mono, at the sample rate asked for."""
    channels: int
    """Channels of the file, before they were mixed down."""
    sample_rate: int
    """Hz that the file declares; the lowest of recordings put one behind the other."""


Audio = str | os.PathLike[str] | Clip
"""A file, or a piece of one."""


def read_audio(path: Audio, sample_rate: int = 16_000) -> np.ndarray:
    """Decodes a file, or a piece of one, to a mono waveform, float32 [S], at `sample_rate` Hz.

    WAV, FLAC, Ogg Vorbis, Ogg Opus and MP3 are read. Files that were put one behind the other are one recording.
    Channels are averaged (see `containers.channels`); the first file for which that happens is logged (logger
    "jaxmeta", once a process).
    Raises:
      AudioError: the file is missing, empty, truncated, damaged, not audio, holds no samples or NaN or infinite ones,
        or declares an impossible sample rate; a piece reaches beyond the end.
    """
    recording = decode(path, sample_rate)
    if recording.channels > 1:
        say_once(f"stereo: {as_clip(path).path} and others like it are mixed down to mono.", topic="read_audio")
    return recording.waveform


def decode(audio: Audio, sample_rate: int = 16_000) -> Recording:
    """Like `read_audio`, but returns what the file was like instead of logging that channels were mixed down."""
    clip = as_clip(audio)
    path = clip.path
    try:
        recording = _whole(path, sample_rate) if clip.whole else _piece(clip, sample_rate)
    except ContainerError as error:
        raise AudioError(f"{path}: {error}.") from error
    except MemoryError as error:
        raise AudioError(f"{path}: too long for the memory of this machine; cut it into pieces.") from error
    except FileNotFoundError as error:
        if (other := on_disk(path)) != path:
            return decode(clip._replace(path=other), sample_rate)
        raise AudioError(f"{path}: no such file.") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if not len(recording.waveform):
        raise AudioError(f"{path}: holds no samples.")
    return recording


def native_samples(clip: Clip) -> tuple[np.ndarray, int, bool]:
    """Samples [S, C] of a clip as its file has them, their rate in Hz, and whether 16 bits hold them.

    Raises:
      AudioError: as `decode`, and where a file is several put one behind the other.
    """
    try:
        held = parts(clip.path)
        if len(held) > 1:
            raise ContainerError("is several recordings, one behind the other; part them first")
        span = clip.start, clip.duration
        if seekable(clip.path, held):
            values, rate = samples(clip.path, held[0], span)
        else:
            values, rate = samples(clip.path, held[0])
            first, count = span_samples(span, len(values), rate)
            values = values[first : first + count]
        exact = soundfile.info(clip.path).subtype not in ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
    except ContainerError as error:
        raise AudioError(f"{clip.path}: {error}.") from error
    except OSError as error:
        raise AudioError(f"{clip.path}: cannot be read ({error.strerror or error}).") from error
    return values, rate, exact


def declared_seconds(path: str | os.PathLike[str]) -> float:
    """Seconds that the header of a file says it lasts; nothing is decoded, and an end that is missing not noticed.

    Raises:
      AudioError: it is missing, empty, of a kind that is not read, or its header makes no sense.
    """
    try:
        frames, rate = form(path)
        if frames > _UNKNOWN:
            return len(_whole(os.fspath(path), rate).waveform) / rate
    except ContainerError as error:
        raise AudioError(f"{os.fspath(path)}: {error}.") from error
    except OSError as error:
        raise AudioError(f"{os.fspath(path)}: cannot be read ({error.strerror or error}).") from error
    return frames / rate


def _whole(path: str, sample_rate: int) -> Recording:
    recordings = [_decode_part(path, part, sample_rate) for part in parts(path)]
    waveforms = [recording.waveform for recording in recordings]
    waveform = waveforms[0] if len(waveforms) == 1 else np.concatenate(waveforms)
    channels = max(recording.channels for recording in recordings)
    return Recording(waveform, channels, min(recording.sample_rate for recording in recordings))


def _piece(clip: Clip, sample_rate: int) -> Recording:
    """A piece by seeking where that can be done; the other files are decoded once for pieces that follow each other."""
    info = os.stat(clip.path)
    part = _seekable_part(clip.path, info.st_size, info.st_mtime_ns)
    if part is not None:
        return _decode_part(clip.path, part, sample_rate, clip)
    whole = _last_decoded(clip.path, sample_rate, info.st_size, info.st_mtime_ns)
    first, count = span_samples((clip.start, clip.duration), len(whole.waveform), sample_rate)
    return whole._replace(waveform=whole.waveform[first : first + count].copy())


@functools.lru_cache(maxsize=256)
def _seekable_part(path: str, size: int, changed: int) -> Part | None:
    """The one part of a file that can be sought in. Cached, since checking a container may take reading all of it."""
    held = parts(path)
    return held[0] if seekable(path, held) else None


@functools.lru_cache(maxsize=1)
def _last_decoded(path: str, sample_rate: int, size: int, changed: int) -> Recording:
    return _whole(path, sample_rate)


def _decode_part(path: str, part: Part, sample_rate: int, clip: Clip | None = None) -> Recording:
    values, rate = samples(path, part, None if clip is None else (clip.start, clip.duration))
    if not part.closed:
        say_once(
            f"{path} and others like it were not closed by their writer: they are read to the end.", topic="unclosed"
        )
    if not len(values):
        return Recording(np.zeros(0, np.float32), values.shape[1], rate)
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ContainerError(f"sample {first} is {values[first].tolist()}; NaN and infinity are not audio")
    waveform, remark = mix_down(values)
    if remark:
        say_once(f"{path}: {remark}; others like it are treated so too.", topic=remark)
    if rate != sample_rate:
        waveform = librosa.resample(waveform, orig_sr=rate, target_sr=sample_rate, res_type="soxr_hq")
    return Recording(np.ascontiguousarray(waveform, dtype=np.float32), values.shape[1], rate)


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
    content = io.BytesIO()  # On a full disk libsndfile would fail by an error of its own, or not at all.
    kind = path.suffix.lower().removeprefix(".")
    soundfile.write(content, np.clip(waveform, -1.0, 1.0), sample_rate, format=kind, subtype="PCM_16")
    with replacing(path, flush=False) as draft:
        draft.write_bytes(content.getvalue())


def say_once(message: str, topic: str) -> None:
    """Logs `message` unless this process has already logged one on the same topic."""
    if topic not in _said():
        _said().add(topic)
        _log.warning(message)


@functools.cache
def _said() -> set[str]:
    return set()
