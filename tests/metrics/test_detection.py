"""Detection errors against closed forms and scikit-learn."""

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from jaxmeta.metrics import (
    Trials,
    bootstrap_speakers,
    detection_curve,
    equal_error_rate,
    minimum_cost,
    percentile_interval,
    rates_at,
)

RNG = np.random.default_rng(0)


def scores(count=2_000, shift=1.5, rounded=None):
    targets = RNG.random(count) < 0.3
    values = RNG.normal(size=count) + shift * targets
    return (values if rounded is None else np.round(values, rounded)), targets


@pytest.mark.parametrize("rounded", [None, 1])  # rounded to 0.1, most scores are tied
def test_the_curve_is_that_of_scikit_learn(rounded):
    values, targets = scores(rounded=rounded)
    curve = detection_curve(values, targets)
    accepts, hits, thresholds = roc_curve(targets, values, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_accepts, accepts, atol=1e-12)
    np.testing.assert_allclose(curve.false_rejects, 1 - hits, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds[1:], thresholds[1:])


def test_the_equal_error_rate_lies_where_the_lines_between_points_cross():
    values, targets = scores(200, rounded=1)
    accepts, hits, _ = roc_curve(targets, values, drop_intermediate=False)
    share = np.linspace(0, len(accepts) - 1, 2_000_001)  # along the polygon of the points
    both = [np.interp(share, np.arange(len(accepts)), each) for each in (accepts, 1 - hits)]
    nearest = np.abs(both[0] - both[1]).argmin()
    np.testing.assert_allclose(equal_error_rate(detection_curve(values, targets)), both[0][nearest], atol=1e-5)


def test_normal_scores_have_the_error_rate_of_their_distance():
    count = 400_000
    values = np.concatenate([RNG.normal(size=count), RNG.normal(2.0, size=count)])
    curve = detection_curve(values, np.arange(2 * count) >= count)
    np.testing.assert_allclose(equal_error_rate(curve), NormalDist().cdf(-1.0), atol=2e-3)  # 3.5 deviations


@pytest.mark.parametrize(("values", "expected"), [([1, 2, 3, 4], 0.0), ([3, 4, 1, 2], 1.0), ([1, 1, 1, 1], 0.5)])
def test_scores_that_part_all_none_or_are_equal(values, expected):
    curve = detection_curve(np.array(values, float), np.array([False, False, True, True]))
    assert equal_error_rate(curve) == expected


def test_the_minimum_cost_is_the_least_over_all_thresholds_and_at_most_that_of_a_fixed_answer():
    values, targets = scores(300)
    curve = detection_curve(values, targets)
    costs = [
        0.05 * 2 * np.mean(values[targets] < t) + 0.95 * 3 * np.mean(values[~targets] >= t)
        for t in np.append(values, np.inf)
    ]
    np.testing.assert_allclose(minimum_cost(curve, 0.05, 2.0, 3.0), min(costs) / 0.1, rtol=1e-12)
    assert minimum_cost(detection_curve(-values, targets)) == 1.0


def test_rates_at_a_threshold_count_scores_of_at_least_that():
    values, targets = scores(300, rounded=1)
    for threshold in (-9.0, values[5], values[5] + 1e-9, 0.37, 9.0):
        expected = np.mean(values[~targets] >= threshold), np.mean(values[targets] < threshold)
        np.testing.assert_allclose(rates_at(detection_curve(values, targets), threshold), expected, atol=1e-12)


def made(speakers, clips=20, hard=0):
    """Trials of every speaker's clips against every one; those of the `hard` first are told by chance."""
    claimed, spoken = (each.ravel() for each in np.meshgrid(np.arange(speakers), np.repeat(np.arange(speakers), clips)))
    values = RNG.normal(size=len(claimed)) + 6 * ((claimed == spoken) & (claimed >= hard))
    return Trials(values, claimed, spoken)


def test_the_interval_is_over_speakers_not_trials():
    rate = bootstrap_speakers(made(10, hard=3), resamples=400)
    assert rate.low < rate.value < rate.high and rate.high - rate.low > 0.2
    alike = bootstrap_speakers(made(10), resamples=400)
    assert alike.high - alike.low < 0.01
    assert bootstrap_speakers(made(4), resamples=50) != rate
    trials = made(6, hard=2)
    assert bootstrap_speakers(trials, resamples=100, seed=3) == bootstrap_speakers(trials, resamples=100, seed=3)


def test_a_resample_counts_a_speaker_as_often_as_it_is_drawn():
    """The interval's ends, where it covers everything, are the extreme draws, each computed from copied trials."""
    trials, resamples = made(3, clips=60, hard=1), 40
    names = np.unique(trials.claimed)
    drawn = np.random.default_rng(5).multinomial(3, np.full(3, 1 / 3), size=resamples)
    rates = []
    for counts in drawn:
        often = counts[trials.claimed] * np.where(trials.targets, 1, counts[trials.spoken])
        copied, targets = np.repeat(trials.scores, often), np.repeat(trials.targets, often)
        if targets.any() and not targets.all():
            rates.append(equal_error_rate(detection_curve(copied, targets)))
    actual = bootstrap_speakers(trials, resamples=resamples, seed=5, confidence=1 - 1e-9)
    assert len(names) == 3
    np.testing.assert_allclose(actual[1:], [min(rates), max(rates)], atol=0.005)  # thresholds of the resamples' grid


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: detection_curve(np.ones(3), np.ones(3, bool)), "3 target and 0 non-target"),
        (lambda: detection_curve(np.ones(3), np.zeros(3, bool)), "0 target and 3 non-target"),
        (lambda: detection_curve(np.array([1.0, np.nan]), np.array([True, False])), "that of trial 1 is nan"),
        (lambda: detection_curve(np.ones(3), np.ones(3)), "bool targets"),
        (lambda: bootstrap_speakers(made(1)), "20 target and 0 non-target"),
        (lambda: bootstrap_speakers(made(2), resamples=0), "resamples=0"),
        (lambda: minimum_cost(detection_curve(*scores(50)), prior=1.0), r"prior in \(0, 1\)"),
        (lambda: percentile_interval(0.0, np.ones(3), 1.0), "confidence=1.0"),
    ],
)
def test_degenerate_trials_are_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()
