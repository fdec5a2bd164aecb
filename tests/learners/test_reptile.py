"""Reptile in float64 against gradient descent in numpy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model
from jaxmeta.learners.reptile import reptile
from jaxmeta.losses import squared_error
from jaxmeta.training import init_state, make_update
from jaxmeta.tree import Under
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
RATE, STEPS = 0.1, 4


def linear():
    """outputs = inputs @ w + b, with the mean output of the last batch for state."""

    def init(key, inputs):
        return {"w": jnp.arange(3) / 2, "b": jnp.ones(1)}, {"mean": jnp.zeros(())}

    def apply(params, state, inputs, key, train):
        outputs = inputs @ params["w"] + params["b"]
        return outputs, {"mean": jnp.mean(outputs)} if train else state

    return Model(init, apply)


def batch(rng, n):
    return Batch(rng.normal(size=(n, 3)), rng.normal(size=n), np.ones(n))


def episode(seed):
    rng = np.random.default_rng(seed)
    return Episode(batch(rng, 4), batch(rng, 5))


def descended(params, *batches):
    """Gradient descent in numpy on all the batches at once."""
    x, y = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("inputs", "targets"))
    w, b = np.asarray(params["w"]), np.asarray(params["b"])
    for _ in range(STEPS):
        residual = x @ w + b - y
        w, b = w - RATE * 2 * residual @ x / len(y), b - RATE * 2 * np.mean(residual)
    return {"w": w, "b": b}, np.mean(x @ w + b)


def test_the_gradient_is_the_weights_less_the_adapted_ones_and_state_is_theirs():
    learner, task = reptile(linear(), squared_error, optax.sgd(RATE), STEPS), episode(0)
    params, state = learner.init(KEY, task.support.inputs)
    (loss, state), gradient = compiled(jax.value_and_grad(learner.meta_loss, has_aux=True))(params, state, task, KEY)
    phi, mean = descended(params, *task)
    difference = jax.tree.map(np.subtract, params, phi)
    chex.assert_trees_all_close(gradient, difference, rtol=1e-12)  # a few roundings of float64
    np.testing.assert_allclose(loss, sum(np.sum(leaf**2) for leaf in difference.values()) / 2, rtol=1e-12)
    np.testing.assert_allclose(state["mean"], mean, rtol=1e-12)


def test_an_update_moves_the_weights_part_of_the_way_to_the_mean_of_the_adapted_ones():
    learner, outer, tasks = reptile(linear(), squared_error, optax.sgd(RATE), STEPS), optax.sgd(0.3), range(3)
    train = init_state(learner, outer, KEY, episode(0).support.inputs)
    episodes = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(episode, tasks))
    after, _ = compiled(make_update(learner, outer))(train, episodes)
    ends = jax.tree.map(lambda *phi: np.stack(phi), *(descended(train.params, *episode(task))[0] for task in tasks))
    expected = jax.tree.map(lambda theta, phi: theta + 0.3 * np.mean(phi - theta, axis=0), train.params, ends)
    chex.assert_trees_all_close(after.params, expected, rtol=1e-12)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, train)


def test_adapting_uses_the_support_set_alone():
    learner, task = reptile(linear(), squared_error, optax.sgd(RATE), STEPS), episode(1)
    params, state = learner.init(KEY, task.support.inputs)
    fast, _ = compiled(learner.adapt)(params, state, task.support, KEY)
    chex.assert_trees_all_close(fast, descended(params, task.support)[0], rtol=1e-12)


def test_leaves_that_do_not_adapt_have_no_gradient():
    learner, task = reptile(linear(), squared_error, optax.sgd(RATE), STEPS, Under("w")), episode(2)
    params, state = learner.init(KEY, task.support.inputs)
    gradient = compiled(jax.grad(lambda params: learner.meta_loss(params, state, task, KEY)[0]))(params)
    np.testing.assert_array_equal(gradient["b"], 0)
    assert np.all(np.asarray(gradient["w"]) != 0)


def test_an_optimizer_without_a_derivative_serves():
    """The derivative of Adam's root at the gradient 0 is infinite: it must not be taken."""
    learner = reptile(linear(), squared_error, optax.adam(RATE), 1)
    flat = Batch(np.zeros((2, 3)), np.zeros(2), np.ones(2))  # inputs of 0 give w a gradient of 0
    params, state = learner.init(KEY, flat.inputs)
    gradient = compiled(jax.grad(lambda params: learner.meta_loss(params, state, Episode(flat, flat), KEY)[0]))(params)
    np.testing.assert_array_equal(gradient["w"], 0)
    np.testing.assert_allclose(gradient["b"], RATE, rtol=1e-6)  # Adam's first step is the rate, but for its eps


def test_examples_of_different_shapes_are_an_error():
    learner, task = reptile(linear(), squared_error, optax.sgd(RATE), STEPS), episode(3)
    params, state = learner.init(KEY, task.support.inputs)
    longer = task._replace(query=task.query._replace(inputs=np.zeros((5, 7))))
    with pytest.raises(ValueError, match=r"reptile.*equal shapes, got \[\(3,\).*\(7,\).*pad both"):
        learner.meta_loss(params, state, longer, KEY)
