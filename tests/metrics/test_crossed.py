"""Intervals over episodes and seeds, paired differences and many comparisons."""

import numpy as np
import pytest

from jaxmeta.metrics import mean_interval
from jaxmeta.metrics.crossed import crossed, holm, paired


def test_one_seed_has_the_interval_over_its_episodes():
    scores = np.random.default_rng(0).normal(80, 7, 600)
    np.testing.assert_allclose(crossed(scores[None])[:2], mean_interval(scores), rtol=1e-6)


def test_the_interval_covers_the_truth_when_both_seeds_and_episodes_vary():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        scores = 80 + rng.normal(0, 0.5, (20, 1)) + rng.normal(0, 5, (1, 200)) + rng.normal(0, 3, (20, 200))
        result = crossed(scores)
        covered += abs(result.mean - 80) < result.half
    assert 0.93 < covered / 400 < 0.98


def test_a_paired_difference_is_free_of_what_episodes_have_in_common():
    rng = np.random.default_rng(2)
    hard, gain = rng.normal(80, 10, (1, 300)), rng.normal(1, 1, (1, 300))
    difference = paired(hard + gain, hard)
    np.testing.assert_allclose(difference[:2], mean_interval(gain[0]), rtol=1e-6)
    assert difference.p < 1e-6 and paired(hard, hard) == (0, 0, 1)


def test_p_is_twice_the_tail_of_the_normal_distribution():
    scores = np.array([[-1.0, 1.0] * 50]) + 1.96 / 10 * np.sqrt(100 / 99)
    np.testing.assert_allclose(crossed(scores).p, 0.05, atol=1e-4)


def test_holm_stops_at_the_first_that_is_not_significant():
    # Holm 1979: the i-th smallest of m is compared with alpha / (m - i + 1).
    assert holm([0.04, 0.001, 0.03]) == [0.06, 0.003, 0.06]
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_scores_of_another_form_are_refused():
    with pytest.raises(ValueError, match=r"\[seeds, episodes\]"):
        crossed(np.zeros(5))
