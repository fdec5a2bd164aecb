"""The black-box estimator: its mean and its spread, against the theory of Gaussian smoothing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Inner, Model, maml
from jaxmeta.estimators import evolution
from jaxmeta.estimators.evolution import smoothed_gradient
from jaxmeta.losses import squared_error
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
SIZE = 50


def difference(ahead, behind):
    return ahead - behind


@functools.partial(compiled, static_argnums=(0, 3))
def estimate(function, point, sigma, pairs, key=KEY):
    return smoothed_gradient(function, difference, point, sigma, pairs, key)


def square(x):
    return 3 * x**2


def cube(x):
    return x**3


@pytest.mark.parametrize("pairs", [100, 10_000])
def test_the_error_on_a_linear_function_is_that_of_the_theory(pairs):
    slope = np.random.default_rng(0).normal(size=SIZE)
    gradient = estimate(lambda x: jnp.dot(slope, x), jnp.ones(SIZE), 0.1, pairs)
    # The mean of e (slope . e) has variance (|slope|^2 + slope_j^2) / pairs in entry j; the mean square over 50 entries
    # scatters by sqrt(2 / 50) = 20 %, and five pairs in a thousand runs beyond three times that.
    variance = np.mean(np.sum(slope**2) + slope**2) / pairs
    assert 0.4 < np.mean((gradient - slope) ** 2) / variance < 1.6


def test_the_mean_is_exact_on_a_quadratic_and_as_smoothed_on_a_cubic():
    """E[e (f(x + s e) - f(x - s e)) / 2 s] is f' for a quadratic, and 3 x^2 + 3 s^2 for x^3: E[e^4] = 3."""
    pairs, x = 40_000, 0.7
    for sigma in (0.1, 1.0):
        # e^2 has variance 2: five standard deviations.
        np.testing.assert_allclose(estimate(square, x, sigma, pairs), 6 * x, rtol=5 * np.sqrt(2 / pairs))
        # 3 x^2 e^2 + s^2 e^4 has variance 18 x^4 + 72 x^2 s^2 + 96 s^4.
        spread = np.sqrt((18 * x**4 + 72 * x**2 * sigma**2 + 96 * sigma**4) / pairs)
        np.testing.assert_allclose(estimate(cube, x, sigma, pairs), 3 * x**2 + 3 * sigma**2, atol=5 * spread)


def test_a_step_has_the_slope_of_its_smoothed_form():
    """The mean of a sign under noise is an error function, which has the slope of a Gaussian density."""
    pairs, sigma, x = 40_000, 0.5, 0.3
    slope = estimate(jnp.sign, x, sigma, pairs)
    expected = 2 / (sigma * np.sqrt(2 * np.pi)) * np.exp(-((x / sigma) ** 2) / 2)
    # |e| / sigma bounds each pair, so the standard deviation is below 1 / (sigma sqrt(pairs)).
    np.testing.assert_allclose(slope, expected, atol=5 / (sigma * np.sqrt(pairs)))


def test_leaves_that_are_not_read_get_no_noise_and_other_types_none_at_all():
    point = {"read": jnp.ones(3), "unread": jnp.ones(2), "count": jnp.array(2), "none": None}
    gradient = estimate(lambda point: point["count"] * jnp.sum(point["read"]), point, 0.1, 4)
    assert (gradient["unread"] == 0).all() and (gradient["read"] != 0).all()
    assert gradient["count"].dtype == jax.dtypes.float0 and gradient["none"] is None


def test_dtypes_are_kept():
    point = {"half": jnp.ones(3, jnp.bfloat16), "single": jnp.ones(2, jnp.float32)}
    gradient = estimate(lambda point: sum(jnp.sum(leaf) for leaf in point.values()), point, 0.5, 2)
    assert gradient["half"].dtype == jnp.bfloat16 and gradient["single"].dtype == jnp.float32


def test_the_same_key_gives_the_same_estimate_and_another_another():
    first, second, other = (estimate(square, 1.0, 0.1, 2, jax.random.key(seed)) for seed in (1, 1, 2))
    assert first == second != other


RATE, STEPS, PAIRS = 0.1, 3, 4000


def descent(reads_params):
    """Derivatives in (start, params, target) of fast' on the loss |fast + params - target|^2 / 2, by the estimator."""

    def loss(fast, params, state, batch, key):
        moved = fast + params if reads_params else fast
        return jnp.sum(jnp.square(moved - batch.targets)) / 2, state

    solve = evolution(0.5, PAIRS)(Inner(loss, lambda params: optax.sgd(RATE), STEPS))

    def adapted(start, params, target):
        fast, info = solve(start, params, {}, Batch(jnp.zeros(2), target, jnp.ones(2)), KEY)
        return jnp.sum(fast * jnp.array([1.0, -2.0])), info

    start, params, target = jnp.array([0.3, -0.4]), jnp.array([0.1, 0.2]), jnp.array([0.7, 0.1])
    return compiled(jax.grad(adapted, (0, 1, 2), has_aux=True))(start, params, target)


def test_the_loop_gets_its_own_gradient_in_start_and_frozen_params_and_none_in_the_batch():
    (start, params, target), info = descent(reads_params=True)
    shrink = (1 - RATE) ** STEPS
    expected = np.array([[shrink], [shrink - 1]]) * [1.0, -2.0]
    # Linear in all four numbers perturbed: the variance of the theory above.
    spread = np.sqrt((np.sum(expected**2) + expected**2) / PAIRS)
    assert (np.abs(np.stack([start, params]) - expected) < 5 * spread).all()
    assert (target == 0).all()
    assert info["loss"].shape == (STEPS,)


def test_params_that_do_not_enter_the_loop_add_no_noise():
    (start, params, _), _ = descent(reads_params=False)
    expected = (1 - RATE) ** STEPS * np.array([1.0, -2.0])
    spread = np.sqrt((np.sum(expected**2) + expected**2) / PAIRS)
    assert (np.abs(start - expected) < 5 * spread).all()
    assert (params == 0).all()


def test_an_optimizer_without_derivative_will_do():
    """A step of a sign has slope 1 and a jump: smoothed, that of an error function besides."""
    rate, sigma, start, target = 0.4, 0.2, 0.3, 0.4

    def loss(fast, params, state, batch, key):
        return jnp.square(fast - target), state

    solve = evolution(sigma, PAIRS)(Inner(loss, lambda params: optax.sign_sgd(rate), 1))
    slope = compiled(jax.grad(lambda start: solve(start, {}, {}, {}, KEY)[0]))(jnp.array(start))
    density = np.exp(-(((start - target) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
    # A pair gives e (e - up to rate / sigma): below (|e| + 2) |e|, whose mean square is 3 + 4 * 1.6 + 4.
    np.testing.assert_allclose(slope, 1 - 2 * rate * density, atol=5 * np.sqrt(13.4 / PAIRS))


def test_maml_under_evolution_estimates_the_exact_meta_gradient():
    def apply(params, state, inputs, key, train):
        return inputs @ params, state

    learner = maml(Model(None, apply), squared_error, optax.sgd(RATE), STEPS, evolution(0.1, PAIRS))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)), rng.normal(size=8)
    batch = Batch(jnp.asarray(x), jnp.asarray(y), jnp.ones(8))

    def adapted(params):
        return jnp.sum(learner.adapt(params, {}, batch, KEY)[0])

    expected = np.linalg.matrix_power(np.eye(3) - RATE * 2 * x.T @ x / 8, STEPS) @ np.ones(3)
    spread = np.sqrt((np.sum(expected**2) + expected**2) / PAIRS)
    gradient = compiled(jax.grad(adapted))(jnp.zeros(3))
    assert (np.abs(gradient - expected) < 5 * spread).all()


@pytest.mark.parametrize(("sigma", "pairs"), [(0.0, 1), (-0.1, 1), (float("nan"), 1), (0.1, 0)])
def test_wrong_noise_is_an_error(sigma, pairs):
    with pytest.raises(ValueError, match=rf"evolution needs sigma > 0 and pairs >= 1, got {sigma} and {pairs}"):
        evolution(sigma, pairs)
