"""Progressive networks: frozen columns stay as they are, the new one reads them and learns."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Model, Ragged, maml, mixed_mode, unrolled
from jaxmeta.learners.progressive import column_outputs, grow, progressive
from jaxmeta.losses import cross_entropy
from jaxmeta.models.layers import apply_mask, segment_pool
from tests.derivatives import slopes
from tests.problem import WAYS, episodes, one
from tests.programs import compiled

KEY = jax.random.key(0)
STEPS, WIDTH = 2, 5


def frames():
    """Ragged to Ragged: a hidden layer with one dead unit, centred by the mean of the batch or of the state."""

    def init(key, inputs):
        size, dtype = inputs.values.shape[-1], inputs.values.dtype
        bias = jnp.zeros(WIDTH, dtype).at[0].set(-1e3)
        return {"kernel": jax.random.normal(key, (size, WIDTH), dtype), "bias": bias}, {"mean": jnp.zeros((), dtype)}

    def apply(params, state, inputs, key, train):
        hidden = jax.nn.relu(inputs.values @ params["kernel"] + params["bias"])
        state = {"mean": hidden.mean()} if train else state
        return inputs._replace(values=hidden - state["mean"]), state

    return Model(init, apply)


def head():
    """Ragged to logits: the mean of the frames before each row's end, then a linear map."""

    def init(key, inputs):
        return jax.random.normal(key, (inputs.values.shape[-1], WAYS), inputs.values.dtype), {}

    def apply(params, state, inputs, key, train):
        pooled = segment_pool(apply_mask(inputs.values, inputs.lengths), inputs.lengths, 1)
        return pooled[:, 0] @ params, state

    return Model(init, apply)


LAYERS = [frames(), head()]
LEARNER = progressive(LAYERS, cross_entropy, optax.sgd(0.1), STEPS)
ADAPT = compiled(LEARNER.adapt)
PREDICT = compiled(LEARNER.predict, static_argnums=5)
COLUMN = compiled(lambda params, index, inputs: column_outputs(LAYERS, params, index, inputs, KEY), static_argnums=1)
GROW = compiled(functools.partial(grow, LAYERS))
GRADIENT = compiled(jax.grad(lambda params, *rest: LEARNER.meta_loss(params, *rest, KEY)[0]))


@functools.cache
def grown(columns):
    """params and state with some frozen columns, each adapted to a task of its own."""
    batch = episodes()
    inputs = one(batch).support.inputs
    if columns == 0:
        return compiled(LEARNER.init)(KEY, inputs)
    params, state = grown(columns - 1)
    fast, _ = ADAPT(params, state, one(batch, columns - 1).support, KEY)
    return GROW(params, state, fast, inputs, jax.random.key(columns))


def composed(layers):
    def apply(params, state, inputs, key, train):
        states = []
        for layer, weights, each in zip(layers, params, state, strict=True):
            inputs, each = layer.apply(weights, each, inputs, key, train)
            states.append(each)
        return inputs, states

    return Model(lambda key, inputs: None, apply)


def test_one_column_is_maml():
    params, state = grown(0)
    episode = one(episodes())
    plain = maml(composed(LAYERS), cross_entropy, optax.sgd(0.1), STEPS)

    def loss(learner, params):
        return jax.value_and_grad(lambda p: learner.meta_loss(p, state, episode, KEY), has_aux=True)(params)

    (actual, new_state), gradient = compiled(lambda params: loss(LEARNER, params))(params)
    (expected, plain_state), plain_gradient = compiled(lambda params: loss(plain, params))(params["new"]["layers"])
    assert params["columns"] == [] and params["new"]["adapters"] == []
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    chex.assert_trees_all_close(gradient["new"]["layers"], plain_gradient, rtol=1e-5, atol=1e-7)  # float32
    chex.assert_trees_all_close(new_state, plain_state, rtol=1e-6)


def test_a_column_frozen_gives_bit_for_bit_what_it_gave_before():
    """When frozen, after the next column was trained, and after that one was frozen too."""
    params, state = grown(0)
    batch = episodes()
    support, inputs = one(batch).support, one(batch).query.inputs

    def grow_and_check(params, state, fast):
        before, _ = PREDICT(params, state, fast, inputs, KEY, False)
        params, state = GROW(params, state, fast, support.inputs, KEY)
        newest = len(params["columns"]) - 1
        np.testing.assert_array_equal(COLUMN(params, newest, inputs), before)
        return params, state, before

    params, state, oldest = grow_and_check(params, state, ADAPT(params, state, support, KEY)[0])
    gradient = GRADIENT(params, state, one(batch, 1))
    trained = jax.tree.map(lambda p, g: p - np.float32(0.1) * g, *jax.device_get((params, gradient)))
    assert np.all(np.asarray(trained["new"]["layers"][1] != params["new"]["layers"][1]))
    np.testing.assert_array_equal(COLUMN(trained, 0, inputs), oldest)
    params, _, second = grow_and_check(trained, state, trained["new"])
    np.testing.assert_array_equal(COLUMN(params, 0, inputs), oldest)
    assert np.any(np.asarray(second != oldest))


def test_frozen_columns_have_gradient_0_and_the_new_one_and_its_adapters_do_not():
    params, state = grown(1)
    gradient = GRADIENT(params, state, one(episodes(), 1))
    assert len(jax.tree.leaves(gradient["columns"])) == 4  # kernel and bias, head, and the mean of the state
    for leaf in jax.tree.leaves(gradient["columns"]):
        np.testing.assert_array_equal(leaf, 0)
    for leaf in jax.tree.leaves(gradient["new"]):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 1e-6


def test_a_lateral_is_added_to_the_input_of_the_layer():
    """The forward pass of three columns in numpy: x W, then (h + U relu(V a h_older + b)) W."""

    def dense():
        return Model(
            lambda key, x: (jax.random.normal(key, (x.shape[-1], WIDTH), x.dtype), {}),
            lambda params, state, x, key, train: (jnp.tanh(x @ params), state),
        )

    layers = [dense(), dense(), dense()]
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x = rng.normal(size=(4, 3))
        learner = progressive(layers, cross_entropy, optax.sgd(0.1), 0)

        @compiled
        def start():
            params, state = learner.init(KEY, x)
            for index in range(2):
                params, state = grow(layers, params, state, params["new"], x, jax.random.key(index))
            return params, state

        params, state = jax.device_get(start())
        noisy = jax.tree.map(lambda leaf: leaf + rng.normal(size=leaf.shape), params)
        outputs, _ = compiled(learner.predict, static_argnums=5)(noisy, state, noisy["new"], x, KEY, False)
    older = []
    for column in jax.tree.map(np.asarray, [*noisy["columns"], noisy["new"]]):
        hiddens = [np.tanh(x @ column["layers"][0])]
        for i, kernel in enumerate(column["layers"][1:]):
            seen = hiddens[-1]
            if older:
                adapter = column["adapters"][i]
                side = np.hstack([a * each[i] for a, each in zip(adapter["scale"], older, strict=True)])
                seen = seen + np.maximum(side @ adapter["down"] + adapter["bias"], 0) @ adapter["up"]
            hiddens.append(np.tanh(seen @ kernel))
        older.append(hiddens)
    np.testing.assert_allclose(outputs, older[-1][-1], rtol=1e-12)


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode()], ids=["unrolled", "mixed_mode"])
def test_the_meta_gradient_of_a_grown_network_matches_finite_differences(estimator):
    learner = progressive(LAYERS, cross_entropy, optax.sgd(0.1), STEPS, estimator)
    with jax.enable_x64(True):
        episode, rng = one(episodes(dtype=np.float64)), np.random.default_rng(0)
        params, state = jax.tree.map(lambda leaf: leaf.astype(np.float64), jax.device_get(grown(1)))
        # A frame in which no older unit is active leaves an adapter at its bias, which is 0 at first: just where the
        # derivative of its relu jumps.
        params["new"] = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), params["new"])

        def loss(new):
            return learner.meta_loss(params | {"new": new}, state, episode, KEY)[0]

        slope, expected = slopes(loss, params["new"])
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_the_state_is_that_of_the_new_column_and_a_frozen_column_keeps_its_own():
    params, state = grown(1)
    support = one(episodes(), 1).support
    outputs, after = PREDICT(params, state, params["new"], support.inputs, KEY, True)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    # The first layer has no lateral: its mean is that of a layer alone.
    kernel, bias = (np.asarray(params["new"]["layers"][0][name]) for name in ("kernel", "bias"))
    expected = np.maximum(np.asarray(support.inputs.values) @ kernel + bias, 0).mean()
    np.testing.assert_allclose(after[0]["mean"], expected, rtol=1e-5)
    assert outputs.shape == (len(support.weight), WAYS)
    chex.assert_trees_all_equal(PREDICT(params, after, params["new"], support.inputs, KEY, False)[1], after)
    frozen, _ = GROW(params, after, params["new"], support.inputs, KEY)
    chex.assert_trees_all_equal(frozen["columns"][1]["state"], after)
    chex.assert_trees_all_equal(frozen["columns"][0], params["columns"][0])


def test_a_state_that_is_not_of_floats_cannot_be_frozen():
    counting = Model(lambda key, x: (jnp.ones(()), {"count": jnp.zeros((), jnp.int32)}), lambda p, s, x, key, t: (x, s))
    params, state = progressive([counting], cross_entropy, optax.sgd(0.1), 1).init(KEY, jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"state in params, which are floats, got \['int32'\]"):
        grow([counting], params, state, params["new"], jnp.ones((2, 3)), KEY)


@pytest.mark.parametrize("index", [-1, 1])
def test_a_column_that_is_not_there_is_an_error(index):
    params, _ = grown(1)
    inputs = Ragged(jnp.ones((1, 2, 4)), jnp.array([2]))
    with pytest.raises(ValueError, match=rf"index must lie in \[0, 1\), the frozen columns, got {index}"):
        column_outputs(LAYERS, params, index, inputs, KEY)


def test_no_layers_are_an_error():
    with pytest.raises(ValueError, match="layers must hold at least one Model"):
        progressive([], cross_entropy, optax.sgd(0.1), 1)
