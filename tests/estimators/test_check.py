"""The check of an estimator: silent on a smooth network, and it names what is wrong elsewhere."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, first_order, maml, truncated
from jaxmeta.estimators import check_estimator
from jaxmeta.losses import squared_error


@jax.custom_vjp
def quantise(x):
    """Rounded to quarters; the derivative is that of the identity, to first order only."""
    return jnp.round(4 * x) / 4


quantise.defvjp(lambda x: (jnp.round(4 * x) / 4, None), lambda _, cotangent: (cotangent,))


def straight_through(x):
    """The same with a stopped difference, whose derivatives of every order are those of the identity."""
    return x + jax.lax.stop_gradient(jnp.round(4 * x) / 4 - x)


@jax.custom_vjp
def reverse(x):
    return x


reverse.defvjp(lambda x: (x, None), lambda _, cotangent: (-cotangent,))


def dead(x):
    """The first unit has a gradient of exactly 0."""
    return jnp.tanh(x) * jnp.array([0.0, 1.0, 1.0, 1.0])


def network(middle):
    def init(key, inputs):
        first, second = jax.random.split(key)
        return {
            "body": jax.random.normal(first, (3, 4), jnp.float32),
            "head": {"kernel": jax.random.normal(second, (4,), jnp.float32), "unused": jnp.zeros(2, jnp.float32)},
        }, {"passes": jnp.zeros((), jnp.int32)}

    def apply(params, state, inputs, key, train):
        return middle(inputs @ params["body"]) @ params["head"]["kernel"], state

    return Model(init, apply)


def episode(dtype=np.float32):
    rng = np.random.default_rng(0)
    return Episode(
        *(Batch(*(a.astype(dtype) for a in (rng.normal(size=(n, 3)), rng.normal(size=n), np.ones(n)))) for n in (5, 6))
    )


def learner(middle, optimizer=optax.sgd(0.1), steps=3):
    return functools.partial(maml, network(middle), squared_error, optimizer, steps)


@pytest.mark.parametrize("middle", [jnp.tanh, pytest.param(straight_through, marks=pytest.mark.slow)])
def test_what_has_symmetric_second_derivatives_passes(middle):
    assert check_estimator(learner(middle), episode()) == {}


@pytest.mark.parametrize("middle", [quantise, pytest.param(reverse, marks=pytest.mark.slow)])
def test_what_has_not_is_caught_under_mixed_mode_and_named(middle):
    errors = check_estimator(learner(middle), episode())
    assert set(errors) == {"body", "head/kernel"}
    assert all(error > 1e-3 for error in errors.values())


def test_first_order_differs_in_every_leaf_that_adapts_by_the_closed_form():
    """One step on a linear network's head alone: the estimate lacks the factor 1 - rate * curvature."""

    def apply(params, state, inputs, key, train):
        return inputs[:, 0] * params["w"] + 0 * params["idle"], state

    model = Model(lambda key, inputs: ({"w": jnp.array(0.5), "idle": jnp.array(1.0)}, {}), apply)
    partial = functools.partial(maml, model, squared_error, optax.sgd(0.1), 1)
    errors = check_estimator(partial, episode(np.float64), first_order())
    factor = 1 - 0.1 * 2 * np.mean(episode(np.float64).support.inputs[:, 0] ** 2)
    assert set(errors) == {"w"}
    # Relative to the exact gradient: (1 - factor) / factor.
    np.testing.assert_allclose(errors["w"], abs(1 / factor - 1), rtol=1e-10)


def test_params_and_state_may_be_given_and_the_tolerance_set():
    partial = learner(jnp.tanh, steps=1)
    zero = {"body": np.zeros((3, 4), np.float32), "head": {"kernel": np.zeros(4, np.float32), "unused": np.zeros(2)}}
    # With everything zero no curvature meets the gradient, which is zero too, so that even first order is right.
    assert check_estimator(partial, episode(), first_order(), params=zero, state={"passes": 0}) == {}
    assert check_estimator(partial, episode(), first_order(), tolerance=1e6) == {}


def test_a_gradient_that_is_not_finite_is_no_agreement():
    errors = check_estimator(learner(dead, optax.adam(0.1), steps=1), episode(), first_order())
    assert np.isnan(errors["body"])


def test_another_exact_estimator_agrees_on_a_quantiser():
    assert check_estimator(learner(quantise), episode(), truncated(3)) == {}


def test_the_precision_of_the_process_is_left_alone_even_after_an_error():
    assert jax.config.jax_enable_x64 is False
    with pytest.raises(ValueError, match=r"truncated\(last=4\)"):
        check_estimator(learner(jnp.tanh), episode(), truncated(4))
    assert jax.config.jax_enable_x64 is False
