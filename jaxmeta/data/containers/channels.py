"""Several channels as one: their mean, unless they cancel each other or one of them is dead."""

from typing import NamedTuple

import numpy as np

_DEAD = 1e-4
"""Loudness over that of the loudest channel (-80 dB) below which a channel holds nothing."""
_CANCELLED = 0.25
"""Power of the mean over what it would be of channels that have nothing in common; wrongly wired ones come near 0."""


class Mixed(NamedTuple):
    """A waveform, and what was unusual about the channels."""

    waveform: np.ndarray
    """[S] float32."""
    remark: str | None
    """For a person; None where nothing was."""


def mix_down(samples: np.ndarray) -> Mixed:
    """The mean of the channels that hold something; the loudest alone where the mean would cancel it.

    Args:
      samples: [S, C] float32, S and C at least 1.
    """
    if samples.shape[1] == 1:
        return Mixed(samples[:, 0], None)
    power = np.square(samples, dtype=np.float64).mean(axis=0)
    alive = power > power.max() * _DEAD**2
    remark = None
    if not alive.all() and alive.any():
        remark = f"{np.count_nonzero(~alive)} of {len(alive)} channels are silent and left out"
        samples, power = samples[:, alive], power[alive]
    mean = samples.mean(axis=1)
    independent = power.sum() / len(power) ** 2
    if len(power) > 1 and np.square(mean, dtype=np.float64).mean() < _CANCELLED * independent:
        return Mixed(samples[:, power.argmax()], "the channels cancel each other (one is wired wrongly); one is taken")
    return Mixed(mean, remark)
