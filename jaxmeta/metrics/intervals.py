"""A figure with its interval."""

from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A figure of the whole set, and the bounds between which resamples of its speakers put it."""

    value: float
    low: float
    high: float


def percentile_interval(value: float, resampled: np.ndarray, confidence: float = 0.95) -> Interval:
    """The figure with the percentiles of its resamples [R] that leave `confidence` of them between them.

    Raises:
      ValueError: a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} is out of range; give a coverage in (0, 1), such as 0.95.")
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))
