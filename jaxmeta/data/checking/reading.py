"""Recordings as their files hold them, all channels at their own rate, one after the other."""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import librosa
import numpy as np

from jaxmeta.data.audio import AudioError
from jaxmeta.data.containers import ContainerError, parts, samples
from jaxmeta.data.containers.channels import mix_down
from jaxmeta.data.manifests.clips import Clip
from jaxmeta.data.text import on_disk


class Channels(NamedTuple):
    """A decoded recording."""

    samples: np.ndarray
    """[S, C] float32, S and C at least 1."""
    sample_rate: int
    """Hz."""


def read_channels(path: str | os.PathLike[str]) -> Channels:
    """Decode a file without mixing or resampling; files that were put one behind the other are one recording.

    Raises:
      AudioError: it is missing, damaged, cut, no audio, or holds no samples, or NaN or infinite ones.
    """
    try:
        decoded = [samples(path, part) for part in parts(path)]
    except ContainerError as error:
        raise AudioError(f"{path}: {error}.") from error
    except FileNotFoundError as error:
        if (other := on_disk(path)) != os.fspath(path):
            return read_channels(other)
        raise AudioError(f"{path}: no such file.") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except MemoryError as error:
        raise AudioError(f"{path}: too long for the memory of this machine; cut it into pieces.") from error
    if len({(values.shape[1], rate) for values, rate in decoded}) > 1:
        raise AudioError(f"{path}: its parts differ in channels or sample rate; make them files of their own.")
    values, rate = np.concatenate([values for values, _ in decoded]), decoded[0][1]
    if not values.size:
        raise AudioError(f"{path}: holds no samples.")
    if not np.isfinite(values).all():
        raise AudioError(f"{path}: holds NaN or infinity, which are not audio.")
    return Channels(values, rate)


def read_clips(clips: Sequence[Clip]) -> Iterator[Channels | AudioError]:
    """Each recording in turn, or why it cannot be read. A file of several rows in a row is decoded once.

    One file is in memory at a time.
    """
    last: tuple[str, Channels | AudioError] | None = None
    for clip in clips:
        if last is None or last[0] != clip.path:
            try:
                last = clip.path, read_channels(clip.path)
            except AudioError as error:
                last = clip.path, error
        whole = last[1]
        yield whole if isinstance(whole, AudioError) else _stretch(whole, clip)


def _stretch(whole: Channels, clip: Clip) -> Channels | AudioError:
    if clip.whole:
        return whole
    first = round(clip.start * whole.sample_rate)
    last = len(whole.samples) if clip.duration is None else first + round(clip.duration * whole.sample_rate)
    if not 0 <= first < last or last > len(whole.samples) + whole.sample_rate // 100:
        seconds = len(whole.samples) / whole.sample_rate
        return AudioError(
            f"{clip.path}: start {clip.start:g} and duration {clip.duration} lie outside of its {seconds:.2f} s."
        )
    return Channels(whole.samples[first:last], whole.sample_rate)


def mono(recording: Channels, sample_rate: int) -> np.ndarray:
    """The recording as training takes it: one channel [S] float32 at a sample rate in Hz."""
    waveform = mix_down(recording.samples).waveform
    if recording.sample_rate != sample_rate:
        waveform = librosa.resample(waveform, orig_sr=recording.sample_rate, target_sr=sample_rate, res_type="soxr_hq")
    return np.ascontiguousarray(waveform, np.float32)
