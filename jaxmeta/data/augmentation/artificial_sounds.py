"""Noise and rooms that need no recordings: babble of several voices, noise that swells, and rooms that ring."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxmeta.data.audio import read_audio

_FASTEST = 8.0  # Hz; speech swells about as fast.


def babble(
    files: Sequence[Path],
    count: int,
    seconds: float = 5.0,
    sample_rate: int = 16_000,
    *,
    voices: int = 6,
    seed: int = 0,
) -> np.ndarray:
    """Several voices at once, each of the same power, float32 [count, seconds * sample_rate].

    Args:
      files: recordings of speech; each voice is a few of them, drawn at random, one after another.
      count: rows.
      seconds: of each row.
      sample_rate: in Hz.
      voices: in each row.
      seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    size = round(seconds * sample_rate)

    def voice() -> np.ndarray:
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < size:
            parts.append(read_audio(files[int(rng.integers(len(files)))], sample_rate))
        return unit_power(np.concatenate(parts)[:size])

    return np.stack([unit_power(np.sum([voice() for _ in range(voices)], axis=0)) for _ in range(count)]).astype(
        np.float32
    )


def swelling(noise: np.ndarray, sample_rate: int = 16_000, *, strength: float = 1.0, seed: int = 0) -> np.ndarray:
    """Noise [M, L] whose level rises and falls slowly and at random, of unit power.

    Args:
      noise: steady noise.
      sample_rate: in Hz.
      strength: standard deviation of the amplitude's logarithm; 1 is 8.7 dB.
      seed: of the levels.
    """
    count, size = noise.shape
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=(count, size)))
    frequency = np.fft.rfftfreq(size, 1 / sample_rate)
    spectrum[:, (frequency == 0) | (frequency > _FASTEST)] = 0
    level = unit_power(np.fft.irfft(spectrum, size))
    return unit_power(noise * np.exp(strength * level)).astype(np.float32)


def artificial_rooms(count: int, seconds: float = 0.8, sample_rate: int = 16_000, *, seed: int = 0) -> np.ndarray:
    """Responses of a direct path and a tail of noise that decays exponentially, float32 [count, seconds * sample_rate].

    The tail falls by 60 dB in 0.3 to 0.8 s, and the direct path has from half to four times its energy.
    """
    rng = np.random.default_rng(seed)
    size = round(seconds * sample_rate)
    decay = rng.uniform(0.3, 0.8, (count, 1))
    tail = rng.normal(size=(count, size)) * 10 ** (-3 * np.arange(size) / sample_rate / decay)
    tail[:, 0] = 0
    energy = 10 ** (-rng.uniform(-3, 6, (count, 1)) / 10)
    response = tail * np.sqrt(energy / np.sum(tail**2, axis=1, keepdims=True))
    response[:, 0] = 1
    return response.astype(np.float32)


def unit_power(waveforms: np.ndarray) -> np.ndarray:
    """Each row [..., L] over the root of its mean power."""
    return waveforms / np.sqrt(np.mean(np.square(waveforms), axis=-1, keepdims=True))
