"""Levels of a recording as its samples show them: loudness, clipping, an offset, and noise between the words."""

import numpy as np

WINDOW, HOP = 0.025, 0.010
"""Seconds of a frame whose loudness counts, and from one to the next."""
FLAT = 0.985
"""Share of the largest sample of a sign above which a sample counts as one at the limit."""
RUN = 3
"""Neighbouring samples at the limit that make a flat top; a sine of 250 Hz at 16 kHz has 3 there at its peak."""
_QUANTISED = 2.0**-30 / 12
"""Power of the rounding of 16-bit samples; what is quieter is no noise that anybody recorded."""


def frame_powers(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean squares [frames] of stretches of 25 ms, every 10 ms, of a waveform [S]; a shorter one is a single frame."""
    window, hop = max(1, round(WINDOW * sample_rate)), max(1, round(HOP * sample_rate))
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    if len(samples) <= window:
        return np.array([sums[-1] / max(1, len(samples))])
    starts = np.arange(0, len(samples) - window + 1, hop)
    return np.maximum(sums[starts + window] - sums[starts], 0) / window


def decibels(power: float) -> float:
    """A mean square as dB of full scale, where a sample of 1 is full scale; -200 at the least.

    >>> decibels(1.0), decibels(0.01), decibels(0.0)
    (0.0, -20.0, -200.0)
    """
    return float(10 * np.log10(max(power, 1e-20)))


def clipped_share(samples: np.ndarray) -> float:
    """Share of the samples of a waveform [S] in flat tops: `RUN` or more in a row near the largest value of their sign.

    A recording that was clipped and then made quieter is noticed; one that a lossy codec has rounded since may not be.

    >>> tone = np.sin(np.arange(16_000) / 5)
    >>> clipped_share(tone), round(clipped_share(np.clip(tone, -0.5, 0.5)), 2)
    (0.0, 0.67)
    """
    if not len(samples):
        return 0.0
    count = 0
    for side in (samples, -samples):
        peak = side.max()
        if peak <= 0:
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[False], side >= FLAT * peak, [False]])))
        lengths = edges[1::2] - edges[::2]
        count += int(lengths[lengths >= RUN].sum())
    return count / len(samples)


def offset(samples: np.ndarray) -> float:
    """Mean of a waveform [S], where 1 is full scale."""
    return float(samples.mean(dtype=np.float64)) if len(samples) else 0.0


def signal_to_noise(powers: np.ndarray) -> float:
    """Estimate of the signal-to-noise ratio in dB, from the powers [frames] of `frame_powers`.

    The noise is the mean of the quietest tenth of the frames; the signal is what the frames above the middle, in dB,
    of the quietest and the loudest tenth have beyond it. Speech that is cut out tightly has no quiet tenth: for it
    this is a lower bound.

    >>> round(signal_to_noise(np.array([1e-6] * 50 + [1e-3 + 1e-6] * 50)))
    30
    """
    ordered = np.sort(np.maximum(powers, _QUANTISED))
    tenth = max(1, len(ordered) // 10)
    quiet, loud = ordered[:tenth].mean(), ordered[-tenth:].mean()
    active = ordered[ordered >= np.sqrt(quiet * loud)]
    signal = (active.mean() if len(active) else loud) - quiet
    return float(10 * np.log10(max(signal, 1e-3 * quiet) / quiet))
