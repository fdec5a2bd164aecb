"""Channels that hold nothing, or the opposite of another channel."""

import numpy as np

DEAD = 10 ** (-50 / 20)
"""Loudness over that of the loudest channel (-50 dB) below which a channel holds nothing but its own noise."""
OPPOSED = -0.5
"""Correlation of two channels below which their mean cancels more than half of the sound."""
_LOUDNESS = 1e-4
"""Root mean square below which a recording is silent as a whole, and has no dead channel."""


def dead_channels(samples: np.ndarray) -> int:
    """How many channels of [S, C] hold nothing beside another that does.

    >>> tone = np.sin(np.arange(1000.0))
    >>> dead_channels(np.stack([tone, 0 * tone], axis=1))
    1
    """
    power = np.square(samples, dtype=np.float64).mean(axis=0)
    if power.max() < _LOUDNESS**2:
        return 0
    return int((power <= power.max() * DEAD**2).sum())


def lowest_correlation(samples: np.ndarray) -> float:
    """The lowest correlation between two channels of [S, C] that hold something; 1 where there are no two.

    >>> tone = np.sin(np.arange(1000.0))
    >>> round(lowest_correlation(np.stack([tone, -0.5 * tone], axis=1)), 3)
    -1.0
    """
    centred = samples - samples.mean(axis=0, dtype=np.float64)
    power = np.square(centred).mean(axis=0)
    alive = centred[:, power > max(power.max() * DEAD**2, 1e-12)]
    if alive.shape[1] < 2:
        return 1.0
    return float(np.corrcoef(alive, rowvar=False).min())
