"""Scores of several seeds on the same episodes: intervals over both, paired differences, and many comparisons."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_QUANTILE = 1.959964
"""Of the normal distribution, for 95 %."""


class Difference(NamedTuple):
    """A mean over seeds and episodes, how uncertain it is, and how likely as large a one is by chance."""

    mean: float
    half: float
    """Of its 95 % interval."""
    p: float
    """Two-sided, of a normal distribution around 0."""


def crossed(scores: np.ndarray) -> Difference:
    """The mean of scores [S, E] of S seeds on the same E episodes, with its interval over episodes and seeds.

    The variance of the mean is that of the episodes' means over E, plus that of the seeds' means over S: both are taken
    as samples, of episodes and of trainings. A single seed has no variance of its own to add.
    Raises:
      ValueError: scores of another form, or of one episode.

    >>> crossed(np.array([[1.0, 3.0], [1.0, 3.0]])).mean
    2.0
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(f"scores must be [seeds, episodes] with 2 episodes or more, got the shape {scores.shape}.")
    seeds, episodes = scores.shape
    variance = scores.mean(0).var(ddof=1) / episodes
    if seeds > 1:
        variance += scores.mean(1).var(ddof=1) / seeds
    mean, deviation = float(scores.mean()), math.sqrt(variance)
    p = math.erfc(abs(mean) / deviation / math.sqrt(2)) if deviation else float(mean == 0)
    return Difference(mean, _QUANTILE * deviation, p)


def paired(scores: np.ndarray, reference: np.ndarray) -> Difference:
    """The mean difference of scores [S, E] and those of a reference [S or 1, E] on the same episodes, as `crossed`."""
    return crossed(scores - reference)


def holm(p: Sequence[float]) -> list[float]:
    """p-values of a family of comparisons, corrected for how many there are; below 0.05 is significant as before.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    corrected = np.minimum(1, np.maximum.accumulate(np.asarray(p, float)[order] * factors))
    result = np.empty(len(p))
    result[order] = corrected
    return result.tolist()
