"""Noise and room responses of a manifest corpus as fixed-length arrays, for `augment.add_noise` and `reverberate`."""

import os
from collections.abc import Iterator

import numpy as np

from jaxmeta.data.audio import read_audio
from jaxmeta.data.manifest import read_manifest


def noise_bank(folder: str | os.PathLike[str], seconds: float = 5.0, sample_rate: int = 16000) -> np.ndarray:
    """Return every full stretch of noise in the corpus as a row, float32 [M, seconds * sample_rate].

    A recording shorter than a stretch is repeated to fill one; stretches of digital silence are left out.
    Raises:
      ValueError: bad numbers, an unreadable recording, or nothing but silence.
    """
    size = _size(seconds, sample_rate)
    stretches = []
    for waveform in _waveforms(folder, sample_rate):
        if waveform.size < size:
            waveform = np.resize(waveform, size)
        whole = waveform[: waveform.size // size * size].reshape(-1, size)
        stretches += [stretch for stretch in whole if stretch.any()]
    if not stretches:
        raise ValueError(f"folder={str(folder)!r} holds nothing but silence; it cannot serve as noise.")
    return np.stack(stretches).astype(np.float32)


def coloured_noise(count: int, seconds: float = 5.0, sample_rate: int = 16000, *, seed: int = 0) -> np.ndarray:
    """Return noise that needs no recordings, float32 [count, seconds * sample_rate] of unit power.

    The power falls as 1 / frequency ** a with a drawn from [0, 2] for each row: from white through pink to brown.
    """
    size = _size(seconds, sample_rate)
    rng = np.random.default_rng(seed)
    slope = rng.uniform(0, 2, (count, 1))
    frequency = np.fft.rfftfreq(size, 1 / sample_rate)
    # Level below 20 Hz, where brown noise would hold nearly all of its power.
    spectrum = np.fft.rfft(rng.normal(size=(count, size))) * np.maximum(frequency, 20.0) ** (-slope / 2)
    waveforms = np.fft.irfft(spectrum, size)
    return (waveforms / np.sqrt(np.mean(waveforms**2, axis=1, keepdims=True))).astype(np.float32)


def room_bank(folder: str | os.PathLike[str], seconds: float = 0.5, sample_rate: int = 16000) -> np.ndarray:
    """Return the room responses of the corpus, cut or zero-padded, as float32 [M, seconds * sample_rate].

    Raises:
      ValueError: bad numbers, an unreadable recording, or a response that is silent for these seconds.
    """
    size = _size(seconds, sample_rate)
    rows = [np.pad(waveform[:size], (0, max(0, size - waveform.size))) for waveform in _waveforms(folder, sample_rate)]
    silent = [index for index, row in enumerate(rows) if not row.any()]
    if silent:
        raise ValueError(f"folder={str(folder)!r}: the response of row {silent[0] + 2} is silent for {seconds} s.")
    return np.stack(rows).astype(np.float32)


def _waveforms(folder: str | os.PathLike[str], sample_rate: int) -> Iterator[np.ndarray]:
    for clip in read_manifest(folder).clips():
        yield read_audio(clip, sample_rate)


def _size(seconds: float, sample_rate: int) -> int:
    size = round(seconds * sample_rate)
    if size < 1:
        raise ValueError(f"seconds={seconds} at sample_rate={sample_rate} Hz is less than one sample.")
    return size
