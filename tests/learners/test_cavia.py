"""CAVIA against a closed form and finite differences, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Model, Ragged, mixed_mode, unrolled
from jaxmeta.learners.cavia import append_context, cavia
from jaxmeta.losses import cross_entropy, squared_error
from tests.derivatives import slopes
from tests.problem import WAYS, episodes, network, one
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
RATE, STEPS = 0.1, 3


def linear():
    """outputs = inputs @ w, without a context."""

    def init(key, inputs):
        return jax.random.normal(key, inputs.shape[-1:], inputs.dtype), {}

    return Model(init, lambda params, state, inputs, key, train: (inputs @ params, state))


def test_only_the_context_moves_and_from_zero_in_every_task():
    """With outputs x w + c v, each step takes 2 rate |v|^2 off the mean residual, along v."""
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5)), np.array([1, 1, 0, 2, 1.0])
    params = rng.normal(size=5)
    w, v = params[:3], params[3:]
    learner = cavia(append_context(linear()), squared_error, optax.sgd(RATE), STEPS, 2)
    tasks = Batch(*map(jnp.asarray, (x, y, np.stack([weight, weight]))))
    fast, info = compiled(jax.vmap(learner.adapt, (None, None, 0, None)))(jnp.asarray(params), {}, tasks, KEY)
    residual = np.average(x @ w - y, axis=1, weights=weight)
    shrink = 1 - 2 * RATE * (v @ v)
    expected = -residual[:, None] * (1 - shrink**STEPS) / (v @ v) * v
    np.testing.assert_allclose(fast, expected, rtol=1e-12)
    # Before the first step the context is 0 in both tasks.
    np.testing.assert_allclose(info["loss"][:, 0], np.average((x @ w - y) ** 2, axis=1, weights=weight), rtol=1e-12)
    predict = compiled(learner.predict, static_argnums=5)
    outputs, _ = predict(params, {}, np.asarray(fast)[0], x[1], KEY, False)
    np.testing.assert_allclose(outputs, x[1] @ w + expected[0] @ v, rtol=1e-12)


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode()], ids=["unrolled", "mixed_mode"])
def test_the_meta_gradient_matches_finite_differences(estimator):
    episode = one(episodes(dtype=np.float64))
    learner = cavia(append_context(network(WAYS)), cross_entropy, optax.sgd(1.0), STEPS, 2, estimator)
    params, state = compiled(learner.init)(KEY, episode.support.inputs)
    assert params["body"]["kernel"].shape[0] == episode.support.inputs.values.shape[-1] + 2
    slope, expected = slopes(lambda params: learner.meta_loss(params, state, episode, KEY)[0], params)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_the_context_has_the_dtype_of_the_params(dtype):
    batch = Batch(jnp.ones((2, 3), dtype), jnp.ones(2, dtype), jnp.ones(2, dtype))
    learner = cavia(append_context(linear()), squared_error, optax.sgd(RATE), 0, 4)
    fast, _ = compiled(learner.adapt)(jnp.ones(7, dtype), {}, batch, KEY)
    assert fast.dtype == dtype
    np.testing.assert_array_equal(fast, np.zeros(4))


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3), (2, 4, 5, 3)])
def test_the_context_is_appended_to_the_features_of_every_example(shape):
    values, context = np.arange(float(np.prod(shape))).reshape(shape), np.array([7.0, 8.0])
    seen = append_context(Model(lambda key, x: (x, {}), lambda params, state, x, key, train: (x, state)))
    expected = np.concatenate([values, np.broadcast_to([7.0, 8.0], (*shape[:-1], 2))], axis=-1)
    np.testing.assert_array_equal(seen.init(KEY, (values, context))[0], expected)
    np.testing.assert_array_equal(seen.apply({}, {}, (values, context), KEY, False)[0], expected)
    ragged, _ = seen.apply({}, {}, (Ragged(values, jnp.array([1, 2])), context), KEY, False)
    np.testing.assert_array_equal(ragged.values, expected)
    np.testing.assert_array_equal(ragged.lengths, [1, 2])


@pytest.mark.parametrize("inputs", [{"frames": jnp.ones((2, 3))}, jnp.ones(2)])
def test_inputs_without_a_last_axis_of_features_are_an_error(inputs):
    with pytest.raises(ValueError, match=r"append_context needs inputs \[N, ..., F\] or Ragged, got "):
        append_context(linear()).init(KEY, (inputs, jnp.zeros(2)))


def test_a_context_of_size_0_is_an_error():
    with pytest.raises(ValueError, match="size must be 1 or more, got 0"):
        cavia(linear(), squared_error, optax.sgd(RATE), 1, 0)
