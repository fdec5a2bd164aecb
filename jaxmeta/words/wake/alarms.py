"""Detections in a stream of scores, and the threshold that gives so many false alarms an hour.

A word is detected at the first step whose score is at least the threshold; the steps of the pause after that are not
looked at, as it is still the same word.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from jaxmeta.metrics import Interval
from jaxmeta.words.wake.stream import STEP_SECONDS

PAUSE = 25
"""Steps after a detection in which there is no other: 2 s."""


class Threshold(NamedTuple):
    """A threshold, and what it did on the speech that it was chosen on."""

    value: float
    """Logit from which a word counts as detected."""
    alarms: int
    """False alarms at it."""
    hours: float
    """Of speech."""

    @property
    def rate(self) -> Interval:
        """False alarms an hour, with the interval in which their true rate lies, were they independent of each other.

        >>> [round(each, 2) for each in Threshold(0.0, 1, 2.0).rate]
        [0.5, 0.01, 2.79]
        """
        return alarm_rate(self.alarms, self.hours)


def detections(scores: np.ndarray, threshold: float, pause: int = PAUSE) -> np.ndarray:
    """Steps at which a word is detected in scores [K].

    >>> detections(np.array([0.0, 2.0, 3.0, 0.0, 2.0]), 1.0, pause=2).tolist()
    [1, 4]
    """
    above, places, free = np.flatnonzero(np.asarray(scores) >= threshold), [], 0
    while (index := np.searchsorted(above, free)) < len(above):
        places.append(int(above[index]))
        free = places[-1] + pause + 1
    return np.array(places, int)


def choose_threshold(
    streams: Sequence[np.ndarray], per_hour: float, pause: int = PAUSE, hop: float = STEP_SECONDS
) -> Threshold:
    """The lowest threshold with at most so many false alarms an hour on streams of scores without the word.

    It lies in the middle between the score of the alarm that would be one too many and the next higher one.
    Args:
      streams: scores [K] each.
      per_hour: false alarms, above 0.
      pause: as in `detections`.
      hop: seconds from a score to the next.
    Raises:
      ValueError: no scores.
    """
    total = sum(map(len, streams))
    if not total:
        raise ValueError("streams has no scores; a threshold is chosen on speech without the word.")
    hours = total * hop / 3600
    allowed, distinct = int(per_hour * hours), np.unique(np.concatenate(list(streams)))
    # The number of alarms is found by halving, for it hardly ever rises with the threshold; what it did is counted.
    low, high = -1, len(distinct)  # at low there are too many, at high (above all) there are none
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _count(streams, distinct[middle], pause) <= allowed else (middle, high)
    if high < len(distinct):
        above = distinct[high]
    else:  # as far above the highest score as that is above the next one, and a thousandth of all at least
        gap, spread = np.diff(distinct)[-1:].sum(), float(np.ptp(distinct))
        above = distinct[-1] + (max(gap, 1e-3 * spread) or 1.0)
    value = float(above if low < 0 else (float(distinct[low]) + float(above)) / 2)
    return Threshold(value, _count(streams, value, pause), hours)


def alarm_rate(alarms: int, hours: float, confidence: float = 0.95) -> Interval:
    """False alarms an hour with the exact interval of a Poisson rate.

    Raises:
      ValueError: no hours.
    Source: Garwood 1936, "Fiducial limits for the Poisson distribution".

    >>> [round(each, 2) for each in alarm_rate(0, 1.0)]
    [0.0, 0.0, 3.69]
    """
    if hours <= 0:
        raise ValueError(f"hours={hours} must be above 0.")
    tail = (1 - confidence) / 2
    low = chi2.ppf(tail, 2 * alarms) / 2 if alarms else 0.0
    return Interval(alarms / hours, float(low / hours), float(chi2.ppf(1 - tail, 2 * alarms + 2) / 2 / hours))


def _count(streams: Sequence[np.ndarray], threshold: float, pause: int) -> int:
    return sum(len(detections(scores, threshold, pause)) for scores in streams)
