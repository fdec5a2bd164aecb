"""How far numbers lie from most of the others, by medians, which the outliers themselves do not move."""

from collections.abc import Sequence

import numpy as np

FEWEST = 12
"""Numbers below which nobody can say which of them are odd."""
_SCALE = 0.6745
"""Median absolute deviation of a normal distribution of deviation 1."""


def robust_scores(values: np.ndarray, groups: Sequence[str] | np.ndarray | None = None, *, least: float) -> np.ndarray:
    """Modified z-scores [R]: the distance from the median over the median absolute deviation, 0.6745 at one of those.

    Args:
      values: [R]; what is not finite is not counted, and scores 0.
      groups: [R] names; each group has a median of its own, and one of fewer than `FEWEST` numbers scores 0.
      least: deviation (as of a normal distribution) that is assumed at least, for groups that hardly vary.
    Source: Iglewicz and Hoaglin 1993, "How to detect and handle outliers", who call 3.5 an outlier.

    >>> scores = robust_scores(np.array([1.0, 2.0, 3.0] * 5 + [12.0]), least=0.1)
    >>> scores[:3].round(2).tolist(), round(float(scores[-1]), 2)
    ([-0.67, 0.0, 0.67], 6.75)
    """
    scores = np.zeros(len(values))
    names = np.zeros(len(values), int) if groups is None else np.unique(groups, return_inverse=True)[1]
    for name in range(int(names.max(initial=-1)) + 1):
        rows = np.flatnonzero((names == name) & np.isfinite(values))
        if len(rows) >= FEWEST:
            distance = values[rows] - np.median(values[rows])
            scores[rows] = _SCALE * distance / max(float(np.median(np.abs(distance))), _SCALE * least)
    return scores
