"""Calibration: a line, fitted to trials of other speakers, turns scores into log-likelihood ratios."""

from typing import NamedTuple

import numpy as np

_PULL = 1e-4  # To a slope of 0, a trial: trials that a line separates would drive it to infinity.


class Calibration(NamedTuple):
    """A line from scores to natural logarithms of likelihood ratios, target over non-target."""

    slope: float
    offset: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios in nats, of the shape of the scores."""
        return self.slope * np.asarray(scores) + self.offset


def calibrate(scores: np.ndarray, targets: np.ndarray) -> Calibration:
    """The line whose log-likelihood ratios cost the least, as `cllr` counts it.

    Targets and non-targets weigh the same whatever their numbers, so that the line knows no prior.
    Args:
      scores: [T].
      targets: [T] bool.
    Raises:
      ValueError: no targets or no non-targets, or scores that are all the same.
    Source: Brummer and du Preez 2006, "Application-independent evaluation of speaker detection", section 5, by logistic
      regression. Differs: a pull to a slope of 0, of 1e-4 of its square a trial where scores have unit deviation.
    """
    from sklearn.linear_model import LogisticRegression  # a second that those who only use a line need not wait

    scores, targets = np.asarray(scores, np.float64), np.asarray(targets)
    if targets.all() or not targets.any():
        raise ValueError(f"calibrate needs targets and non-targets, got {targets.sum()} of {targets.size} targets.")
    centre, scale = scores.mean(), scores.std()
    if not scale > 0:
        raise ValueError("calibrate: all scores are the same, so that no line tells targets from others.")
    regression = LogisticRegression(class_weight="balanced", C=1 / (2 * _PULL * len(scores)), tol=1e-8)
    regression.fit((scores[:, None] - centre) / scale, targets)
    slope = float(regression.coef_[0, 0]) / scale
    return Calibration(float(slope), float(regression.intercept_[0] - slope * centre))


def cllr(ratios: np.ndarray, targets: np.ndarray) -> float:
    """What log-likelihood ratios [T] in nats cost in bits, averaged over both kinds of trials; 1 tells nothing.

    Source: Brummer and du Preez 2006, eq. 1.

    >>> cllr(np.zeros(4), np.array([True, True, False, False]))
    1.0
    """
    costs = np.logaddexp(0, np.where(targets, -np.asarray(ratios), ratios)) / np.log(2)
    return float((costs[targets].mean() + costs[~targets].mean()) / 2)
