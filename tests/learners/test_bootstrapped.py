"""Bootstrapped meta-gradients against MAML and closed forms."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, maml, mixed_mode, unrolled
from jaxmeta.learners.bootstrapped import bootstrapped
from jaxmeta.losses import squared_error
from jaxmeta.training import init_state, make_update
from jaxmeta.tree import Under
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
RATE, STEPS = 0.15, 3


def network(dtype=float):
    """Two inputs, three tanh units, one output."""
    rng = np.random.default_rng(0)
    weights = {"body": rng.normal(size=(2, 3)).astype(dtype), "head": rng.normal(size=3).astype(dtype)}

    def apply(params, state, inputs, key, train):
        return jnp.tanh(inputs @ params["body"]) @ params["head"], state

    return Model(lambda key, inputs: (jax.tree.map(jnp.asarray, weights), {}), apply)


def task(dtype=float):
    rng = np.random.default_rng(1)
    batch = lambda n: Batch(*(rng.normal(size=size).astype(dtype) for size in ((n, 2), n)), np.ones(n, dtype))  # noqa: E731
    return Episode(batch(3), batch(4))


def gradient(learner, episode):
    params, state = learner.init(KEY, episode.support.inputs)
    return compiled(jax.grad(lambda params: learner.meta_loss(params, state, episode, KEY)[0]))(params)


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode()])
def test_one_extra_step_gives_the_meta_gradient_of_maml(estimator):
    learner = bootstrapped(network(), squared_error, optax.sgd(0.1), 2, 1, 0.05, estimator)
    plain = maml(network(), squared_error, optax.sgd(0.1), 2)
    # rtol: sums in another order.
    chex.assert_trees_all_close(gradient(learner, task()), gradient(plain, task()), rtol=1e-10, atol=1e-13)


def test_a_small_rate_costs_no_digits():
    """In float32, target - fast would keep 3 digits of a step 1e-4 times as large as the weights."""
    learner = bootstrapped(network(np.float32), squared_error, optax.sgd(0.1), 2, 1, 1e-4)
    plain = maml(network(), squared_error, optax.sgd(0.1), 2)
    ours = gradient(learner, task(np.float32))
    assert {leaf.dtype for leaf in jax.tree.leaves(ours)} == {np.dtype(np.float32)}
    # float32 keeps 1e-7 of each term of sums of a few terms near 1.
    chex.assert_trees_all_close(ours, gradient(plain, task()), rtol=1e-4, atol=1e-5)


def constant():
    """outputs = body + head, whatever the input; state counts the passes over examples with the input 1."""

    def apply(params, state, inputs, key, train):
        return jnp.broadcast_to(params["body"] + params["head"], inputs.shape), state + jnp.sum(inputs)

    return Model(lambda key, inputs: ({"body": jnp.array(0.3), "head": jnp.array(-1.1)}, jnp.zeros(())), apply)


def closed_form(extra):
    """(value, slope in the adapted head) on the losses (output - 0.7)^2 and (output + 0.4)^2."""
    output = 0.7 + (1 - 2 * 0.1) ** STEPS * (0.3 - 1.1 - 0.7)
    change = -(1 - (1 - 2 * RATE) ** extra) * (output + 0.4)
    return change**2 / (2 * RATE), -change / RATE


QUADRATIC = Episode(*[Batch(np.full(1, x), np.full(1, y), np.ones(1)) for x, y in ((0.0, 0.7), (1.0, -0.4))])


@pytest.mark.parametrize("extra", [1, 2, 5])
def test_more_steps_have_the_closed_form_on_a_quadratic(extra):
    learner = bootstrapped(constant(), squared_error, optax.sgd(0.1), STEPS, extra, RATE, adapt_only=Under("head"))
    params, state = learner.init(KEY, np.zeros(1))
    value_and_gradient = compiled(jax.value_and_grad(learner.meta_loss, has_aux=True))
    (loss, state), slope = value_and_gradient(params, state, QUADRATIC, KEY)
    expected_loss, expected = closed_form(extra)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-12)
    # The head's path through the inner steps; the body has the same one less its own, and no other.
    np.testing.assert_allclose(slope["head"], expected * 0.8**STEPS, rtol=1e-12)
    np.testing.assert_allclose(slope["body"], expected * (0.8**STEPS - 1), rtol=1e-12)
    assert state == 1  # of one pass over the query set, as after any other episode


def test_an_update_descends_and_keeps_the_structure():
    learner, outer = bootstrapped(constant(), squared_error, optax.sgd(0.1), STEPS, 2, RATE), optax.sgd(0.5)
    train = init_state(learner, outer, KEY, np.zeros(1))
    tasks = jax.tree.map(lambda leaf: np.stack([leaf] * 2), QUADRATIC)
    after, metrics = compiled(make_update(learner, outer))(train, tasks)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, train)
    # Two leaves that move alike double the curvature: a step of rate r leaves 1 - 4 r of the output's distance.
    output = 0.7 + 0.6**STEPS * (0.3 - 1.1 - 0.7)
    change = -(1 - (1 - 4 * RATE) ** 2) * (output + 0.4) / 2
    np.testing.assert_allclose(metrics["loss"], 2 * change**2 / (2 * RATE), rtol=1e-12)
    moved = after.params["head"] - train.params["head"]
    np.testing.assert_allclose(moved, 0.5 * change / RATE * 0.6**STEPS, rtol=1e-12)


@pytest.mark.parametrize(("extra", "rate"), [(0, 0.1), (1, 0.0), (1, -1.0), (1, float("nan"))])
def test_no_target_is_an_error_when_built(extra, rate):
    with pytest.raises(ValueError, match=rf"extra >= 1 and rate > 0, got extra={extra} and rate={rate}"):
        bootstrapped(constant(), squared_error, optax.sgd(0.1), 1, extra, rate)
