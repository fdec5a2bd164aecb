"""The rate that a recording once had: one that was resampled up has nothing above half of the lower rate."""

import numpy as np

RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100)
"""Hz that recordings are resampled up from."""
_SIZE = 1024
_BELOW = (0.72, 0.88)
"""Parts of half the lower rate between which its sound is measured; resamplers pass at least these."""
_ABOVE = 1.08
"""Of half the lower rate, from which on there is nothing."""
_WIDEST = 0.92
"""Of half the own rate, beyond which a cutoff is that of the own converter."""


def spectrum(samples: np.ndarray) -> np.ndarray:
    """Mean power spectrum [513] of a waveform [S] over half overlapping Hann windows, in float64; Welch's method."""
    padded = np.pad(samples, (0, max(0, _SIZE - len(samples)))).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _SIZE)[:: _SIZE // 2]
    total = np.zeros(_SIZE // 2 + 1)
    for start in range(0, len(frames), 256):  # Memory does not grow with the recording.
        total += np.square(np.abs(np.fft.rfft(frames[start : start + 256] * np.hanning(_SIZE)))).sum(axis=0)
    return total / len(frames)


def edge(powers: np.ndarray, sample_rate: int, lower: int) -> float:
    """By how many dB the spectrum falls at half of a lower rate: the mean below it over the largest above it.

    Args:
      powers: as `spectrum` gives them.
      sample_rate: Hz of the recording.
      lower: Hz.
    Returns:
      0 where half the lower rate is too near to half of the own one.
    """
    half = lower / 2
    if half > _WIDEST * sample_rate / 2 / _ABOVE:
        return 0.0
    hertz = np.arange(len(powers)) * sample_rate / _SIZE
    below = powers[(hertz >= _BELOW[0] * half) & (hertz <= _BELOW[1] * half)].mean()
    beyond = powers[(hertz >= _ABOVE * half) & (hertz <= 0.98 * sample_rate / 2)]
    wide = max(1, len(beyond) // 8)  # Single lines, such as a whistle of electronics, are no speech.
    above = max(np.convolve(beyond, np.ones(wide) / wide, "valid"))
    return float(10 * np.log10(max(below, 1e-30) / max(above, 1e-30)))


def steepest(powers: np.ndarray, sample_rate: int) -> tuple[int, float]:
    """The lower rate in Hz at whose half the spectrum falls most, and by how many dB; (0, 0.0) where there is none."""
    edges = [(rate, edge(powers, sample_rate, rate)) for rate in RATES]
    best = max(edges, key=lambda each: each[1])
    return best if best[1] > 0 else (0, 0.0)
