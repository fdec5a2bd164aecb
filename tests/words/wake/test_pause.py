"""Which steps of a stream begin a pause: those of words that count, and no others."""

import numpy as np

from jaxmeta.words.wake.alarms import PAUSE
from jaxmeta.words.wake.stream import STEP_SECONDS
from jaxmeta.words.wake.wakeword import Detector


class Scored(Detector):
    """A detector of which every step is above the threshold."""

    def __init__(self):
        self._steps, self._free = 0, 0

    def scores(self, samples):
        self._steps += len(samples)
        return np.ones(len(samples))


def steps(detections):
    return [round(each.seconds / STEP_SECONDS) - 1 for each in detections]


def test_a_word_is_followed_by_a_pause():
    assert steps(Scored().push(np.zeros(2 * PAUSE))) == [0, PAUSE + 1]


def test_a_word_that_is_refused_is_followed_by_none():
    answers = iter([False, False, *[True] * 9])
    detector = Scored()
    assert steps(detector.push(np.zeros(1), lambda: next(answers))) == []
    assert steps(detector.push(np.zeros(PAUSE), lambda: next(answers))) == [2]
    assert steps(detector.push(np.zeros(3))) == [PAUSE + 3]
