"""Errors of estimators: against closed forms, and noise told from bias."""

import numpy as np
import pytest

from jaxmeta.estimators import estimator_errors

RNG = np.random.default_rng(0)
EXACT = RNG.normal(size=(6, 40)) + 1.0


def test_the_exact_meta_gradient_has_no_error():
    errors = estimator_errors(EXACT, EXACT[None])
    assert errors.cosine.value == pytest.approx(1) and errors.spread.value == pytest.approx(1)
    assert errors.bias.value == errors.noise.value == 0


def test_a_scaled_estimate_has_the_direction_and_a_bias_of_what_it_lacks():
    errors = estimator_errors(EXACT, 0.7 * EXACT[None])
    assert errors.cosine.value == pytest.approx(1)
    assert errors.bias == pytest.approx((0.3, 0.3, 0.3)) and errors.spread.value == pytest.approx(0.7)


def test_bias_is_the_distance_between_means_and_not_the_mean_distance():
    # Errors of opposite signs on two tasks: the mean over tasks is right.
    exact = np.array([[1.0, 0.5], [1.0, -0.5]])
    estimate = exact + np.array([[0.0, 1.0], [0.0, -1.0]])
    assert estimator_errors(exact, estimate[None]).bias.value == pytest.approx(0)


def test_noise_is_told_from_bias():
    # Draws of variance 4 around the truth: on B tasks and W weights their mean varies by sqrt(4 W / B).
    draws = EXACT + 2 * RNG.normal(size=(400, *EXACT.shape))
    errors = estimator_errors(EXACT, draws)
    size = np.linalg.norm(EXACT.mean(0))
    assert errors.noise.value == pytest.approx(np.sqrt(4 * 40 / 6) / size, rel=0.02)
    assert errors.bias.value < 0.1 * errors.noise.value
    assert errors.spread.value == pytest.approx(1, abs=0.05)
    cosines = [np.dot(each.mean(0), EXACT.mean(0)) / np.linalg.norm(each.mean(0)) / size for each in draws]
    assert errors.cosine.value == pytest.approx(np.mean(cosines))


def test_intervals_are_over_tasks():
    # One task in six has no error, the others the same: resamples differ by how often they hold it.
    estimate = EXACT.copy()
    estimate[1:] *= 0.5
    errors = estimator_errors(EXACT, estimate[None])
    assert errors.bias.low < errors.bias.value < errors.bias.high < 0.51


@pytest.mark.parametrize("shape", [(6, 40), (1, 5, 40), (1, 6, 39)])
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"estimates \[S, B, W\]"):
        estimator_errors(EXACT, np.zeros(shape))


def test_one_task_is_refused():
    with pytest.raises(ValueError, match="B of 2 or more"):
        estimator_errors(EXACT[:1], EXACT[None, :1])
