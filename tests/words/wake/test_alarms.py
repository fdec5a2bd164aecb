"""Detections in scores, and thresholds for a rate of false alarms."""

import numpy as np
import pytest

from jaxmeta.words.wake.alarms import PAUSE, Threshold, alarm_rate, choose_threshold, detections
from jaxmeta.words.wake.stream import STEP_SECONDS

HOUR = round(3600 / STEP_SECONDS)


def test_a_word_is_detected_once_until_the_pause_is_over():
    scores = np.zeros(100)
    scores[[10, 12, 10 + PAUSE, 11 + PAUSE, 99]] = 1.0
    assert detections(scores, 1.0).tolist() == [10, 11 + PAUSE, 99]
    assert detections(scores, 1.1).tolist() == []


@pytest.mark.parametrize("per_hour", [0.5, 1.0, 3.0])
def test_a_threshold_gives_the_rate_that_was_asked_for_on_the_speech_it_was_chosen_on(per_hour):
    rng = np.random.default_rng(0)
    streams = [rng.normal(size=size) for size in (HOUR, HOUR // 2, HOUR // 2)]
    chosen = choose_threshold(streams, per_hour)
    assert chosen.alarms == 2 * per_hour and chosen.hours == pytest.approx(2)
    assert sum(len(detections(each, chosen.value)) for each in streams) == chosen.alarms
    assert chosen.rate.value == pytest.approx(per_hour)
    # A lower threshold gives one alarm too many.
    below = max(score for each in streams for score in each if score < chosen.value)
    assert sum(len(detections(each, below)) for each in streams) > chosen.alarms


def test_too_little_speech_for_one_alarm_allows_none():
    chosen = choose_threshold([np.array([0.0, 1.0, 3.0])], 0.5)
    assert chosen.alarms == 0
    # Half as far above the highest score as that is above the next one.
    assert chosen.value == 4.0
    assert choose_threshold([np.full(30, 0.25)], 0.5).alarms == 0


def test_the_scores_of_steps_that_are_farther_apart_are_more_hours():
    assert choose_threshold([np.arange(100.0)], 1.0, hop=36.0).hours == 1.0


def test_no_speech_gives_no_threshold():
    with pytest.raises(ValueError, match="streams has no scores"):
        choose_threshold([np.zeros(0)], 0.5)


@pytest.mark.parametrize(("alarms", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)])
def test_the_interval_of_a_rate_is_that_of_the_tables(alarms, low, high):
    """Garwood's limits, as in Ulm 1990, table 1."""
    np.testing.assert_allclose(alarm_rate(alarms, 2.0), [alarms / 2, low / 2, high / 2], rtol=1e-3)
    with pytest.raises(ValueError, match="hours=0 must be above 0"):
        alarm_rate(0, 0)


def test_a_threshold_tells_its_rate():
    assert Threshold(0.0, 3, 1.5).rate == alarm_rate(3, 1.5)
