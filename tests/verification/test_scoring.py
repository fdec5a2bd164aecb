"""Scores, their normalisation and calibration, and the gate."""

import math

import numpy as np
import pytest

from jaxmeta.verification.calibration import Calibration, calibrate, cllr
from jaxmeta.verification.gate import Gate, make_gate
from jaxmeta.verification.open_set import classify, word_odds
from jaxmeta.verification.scoring import adaptive_s_norm, mean_direction

RNG = np.random.default_rng(0)


def test_normalisation_is_that_of_the_best_matches_of_each_side():
    scores, enrolled, tested = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 6)), RNG.normal(size=(3, 6))
    actual = adaptive_s_norm(scores, enrolled, tested, 4)
    for e in range(2):
        for t in range(3):
            sides = [np.sort(each)[-4:] for each in (enrolled[e], tested[t])]
            expected = sum((scores[e, t] - side.mean()) / side.std() for side in sides) / 2
            np.testing.assert_allclose(actual[e, t], expected, rtol=1e-12)


def test_who_is_like_everybody_needs_a_higher_cosine():
    near, far = np.full((1, 5), 0.8) + 0.01 * RNG.normal(size=(1, 5)), 0.1 * RNG.normal(size=(1, 5))
    scores, tested = np.array([[0.9]]), 0.1 * RNG.normal(size=(1, 5))
    assert adaptive_s_norm(scores, near, tested, 5) < 20 < adaptive_s_norm(scores + 0.4, near, tested, 5)
    assert adaptive_s_norm(scores - 0.6, far, tested, 5) < adaptive_s_norm(scores, far, tested, 5)


@pytest.mark.parametrize(("shape", "top"), [((2, 3), 1), ((2, 3), 7), ((3, 2), 4)])
def test_what_does_not_fit_a_cohort_is_said(shape, top):
    with pytest.raises(ValueError, match=r"top=|scores"):
        adaptive_s_norm(np.zeros(shape), np.zeros((2, 6)), np.zeros((3, 6)), top)


def test_the_mean_direction_is_a_unit_vector_along_the_sum():
    vectors = RNG.normal(size=(5, 3))
    actual = mean_direction(vectors, np.array([0, 1, 0, 1, 1]), 2)
    sums = np.stack([vectors[[0, 2]].sum(0), vectors[[1, 3, 4]].sum(0)])
    np.testing.assert_allclose(actual, sums / np.linalg.norm(sums, axis=1, keepdims=True), rtol=1e-12)


def test_calibration_finds_the_ratio_of_two_normal_distributions_whatever_the_share_of_targets():
    """Scores of N(1, 1) and N(-1, 1): the logarithm of the likelihood ratio is twice the score."""
    for targets in (20_000, 200_000):
        scores = np.concatenate([RNG.normal(1, 1, targets), RNG.normal(-1, 1, 200_000)])
        line = calibrate(3 * scores + 5, np.arange(len(scores)) < targets)
        np.testing.assert_allclose((line.slope, line.offset), (2 / 3, -10 / 3), rtol=0.03)


def test_ratios_that_tell_nothing_cost_a_bit_and_calibrated_ones_less_than_others():
    scores, targets = np.append(RNG.normal(1, 1, 500), RNG.normal(-1, 1, 500)), np.arange(1_000) < 500
    np.testing.assert_allclose(cllr(np.zeros(1_000), targets), 1, rtol=1e-12)
    best = cllr(calibrate(scores, targets)(scores), targets)
    assert best < min(cllr(Calibration(slope, offset)(scores), targets) for slope, offset in ((1, 0), (4, 0), (2, 1)))


def test_trials_that_cannot_be_calibrated_are_said():
    with pytest.raises(ValueError, match="3 of 3 targets"):
        calibrate(np.arange(3.0), np.ones(3, bool))
    with pytest.raises(ValueError, match="all scores are the same"):
        calibrate(np.ones(3), np.array([True, False, True]))
    separated = calibrate(np.array([0.0, 0.1, 1.0, 1.1]), np.array([False, False, True, True]))
    assert 0 < separated.slope < 1e3


def test_the_gate_weighs_the_ratio_with_the_prior():
    gate = make_gate(0.2, 0.9)
    ratio = math.log(9 / 1 * 0.8 / 0.2)
    assert [gate.decide(ratio + shift) for shift in (1e-9, -1e-9)] == ["accept", "unsure"]
    np.testing.assert_allclose(gate.posterior(ratio), 0.9, rtol=1e-12)
    assert gate.decide(math.log(1 / 9 * 4) - 1e-9) == "reject"
    assert Gate().decide(-1e6) == "reject" and Gate().decide(1e6) == "accept"
    for wrong in ({"prior": 0.0}, {"prior": 1.0}, {"sure": 0.4}, {"sure": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            make_gate(**wrong)


def test_odds_of_a_word_are_against_all_of_the_background():
    clips, words, unknown, silence = (RNG.normal(size=(n, 3)) for n in (4, 2, 3, 2))
    actual = word_odds(clips, words, unknown, silence)
    for t in range(4):
        near = [np.exp(-np.square(clips[t] - each).sum(1)) for each in (words, unknown, silence)]
        np.testing.assert_allclose(actual.words[t], np.log(near[0] / (near[1].sum() + near[2].sum())), rtol=1e-9)
        np.testing.assert_allclose(actual.silence[t], np.log(near[2].sum() / near[1].sum()), rtol=1e-9)


def test_what_is_no_enrolled_word_is_unknown_or_silence():
    ratios = np.array([[1.0, 2.0], [3.0, -1.0], [-1.0, -2.0], [-1.0, -0.1]])
    assert classify(ratios, np.array([5.0, 5.0, -1.0, 1.0])).tolist() == [1, 0, 2, 3]
