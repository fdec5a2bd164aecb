"""Averages of weights and predictions against numpy, and an ensemble against its members."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, maml
from jaxmeta.learners.averaging import average_predictions, averaging, exponential, greedy, uniform, weighted
from jaxmeta.losses import cross_entropy
from tests.programs import compiled

KEY = jax.random.key(0)
SOFTMAX = Model(
    lambda key, inputs: (jax.random.normal(key, (4, 3)), {}),
    lambda params, state, inputs, key, train: (inputs @ params, state),
)
ONE = maml(SOFTMAX, cross_entropy, optax.sgd(0.1), 2)


def trees(count, seed=0):
    rng = np.random.default_rng(seed)
    return [{"a": jnp.asarray(rng.normal(size=(2, 3))), "b": [jnp.asarray(rng.normal(size=4))]} for _ in range(count)]


def episode():
    rng = np.random.default_rng(0)
    batch = lambda n: Batch(rng.normal(size=(n, 4)).astype(np.float32), np.arange(n) % 3, np.ones(n, np.float32))  # noqa: E731
    return jax.tree.map(jnp.asarray, Episode(batch(6), batch(5)))


def numpy_softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_a_weighted_average_is_the_sum_of_weights_times_trees():
    three, weights = trees(3), [0.2, 0.5, 0.3]
    actual = weighted(three, weights)
    np.testing.assert_allclose(actual["a"], sum(w * np.asarray(t["a"]) for w, t in zip(weights, three, strict=True)),
                               rtol=1e-6, atol=1e-7)  # float32  # fmt: skip
    np.testing.assert_allclose(
        uniform(three)["b"][0], np.mean([t["b"][0] for t in three], axis=0), rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_the_average_of_equal_trees_is_the_tree(dtype):
    (tree,) = jax.tree.map(lambda leaf: leaf.astype(dtype), trees(1))
    actual = uniform([tree] * 7)
    chex.assert_trees_all_equal_shapes_and_dtypes(actual, tree)
    # Seven sevenths in float32 round to within two units of the last place; bfloat16 does not see that.
    chex.assert_trees_all_close(actual, tree, rtol=3e-7 if dtype == jnp.float32 else 0)


@pytest.mark.parametrize("weights", [[0.5, 0.6], [0.5, 0.4], [1.0]])
def test_weights_that_do_not_sum_to_one_for_all_the_trees_are_an_error(weights):
    with pytest.raises(ValueError, match=r"weights must sum to 1, one for each of 2 trees, got \["):
        weighted(trees(2), weights)


def test_an_exponential_average_has_its_closed_form():
    first, second = trees(2)
    average, step = first, compiled(exponential)
    for _ in range(10):
        average = step(average, second, 0.9)
    expected = jax.tree.map(lambda a, b: 0.9**10 * a + (1 - 0.9**10) * b, first, second)
    chex.assert_trees_all_close(average, expected, rtol=1e-5, atol=1e-6)  # ten roundings of float32


def test_a_greedy_average_keeps_what_does_not_lower_the_score():
    """The score is minus the distance to 1: 0.8 and 1.2 average to it, 5 is left out, and so is a NaN."""
    candidates = [{"w": jnp.array(value)} for value in (np.nan, 5.0, 1.2, 0.85)]
    average, kept = greedy(candidates, lambda tree: -abs(float(tree["w"]) - 1))
    assert kept == [3, 2]
    np.testing.assert_allclose(average["w"], 1.025, rtol=1e-6)
    # One that changes nothing is kept.
    assert greedy([candidates[3]] * 2, lambda tree: 0.0)[1] == [0, 1]


@pytest.mark.parametrize("space", ["probability", "log", "output"])
def test_predictions_are_averaged_in_the_space_asked_for(space):
    logits = np.random.default_rng(0).normal(size=(3, 4, 5)) * 3
    mean = {
        "probability": np.log(numpy_softmax(logits).mean(axis=0)),
        "log": np.log(numpy_softmax(np.log(numpy_softmax(logits)).mean(axis=0))),
        "output": logits.mean(axis=0),
    }
    with jax.enable_x64(True):
        actual = compiled(average_predictions, static_argnums=1)(logits, space)
    np.testing.assert_allclose(actual, mean[space], rtol=1e-12, atol=1e-14)


def test_probabilities_too_small_for_a_float_keep_their_logs():
    logits = jnp.array([[[0.0, -300.0]], [[0.0, -400.0]]])
    # log((e^-300 + e^-400) / 2), where e^-300 is 0 in float32.
    np.testing.assert_allclose(average_predictions(logits), [[0, -300 - np.log(2)]], rtol=1e-6)


def test_one_member_equals_the_learner_alone():
    support, query = episode()
    ensemble = averaging(ONE, 1)
    params, state = compiled(ensemble.init)(KEY, support.inputs)
    fast, info = compiled(ensemble.adapt)(params, state, support, KEY)
    outputs, _ = compiled(ensemble.predict, static_argnums=5)(params, state, fast, query.inputs, KEY, False)
    alone, expected_info = compiled(ONE.adapt)(np.asarray(params)[0], {}, support, KEY)
    expected = np.log(numpy_softmax(np.asarray(query.inputs) @ alone))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)  # float32
    np.testing.assert_allclose(info["loss"], expected_info["loss"], rtol=1e-5)


def test_members_start_apart_and_train_on_their_own():
    task = episode()
    ensemble = averaging(ONE, 2)
    params, state = jax.device_get(compiled(ensemble.init)(KEY, task.support.inputs))
    assert not np.allclose(params[0], params[1])
    loss, gradient = compiled(jax.value_and_grad(lambda params: ensemble.meta_loss(params, state, task, KEY)[0]))(
        params
    )
    alone = compiled(jax.value_and_grad(lambda params: ONE.meta_loss(params, {}, task, KEY)[0]))
    losses, gradients = zip(*(alone(each) for each in params), strict=True)
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(gradient, np.stack(gradients) / 2, rtol=1e-4, atol=1e-6)  # float32


def test_the_state_of_every_member_is_kept_apart():
    def apply(params, state, inputs, key, train):
        return inputs * params, {"seen": state["seen"] + params if train else state["seen"]}

    model = Model(lambda key, inputs: (jax.random.normal(key), {"seen": jnp.zeros(())}), apply)
    ensemble = averaging(maml(model, cross_entropy, optax.sgd(0.1), 0), 3, "output")
    inputs = jnp.ones((2, 4))
    params, state = compiled(ensemble.init)(KEY, inputs)
    fast, _ = compiled(ensemble.adapt)(params, state, Batch(inputs, jnp.zeros(2, jnp.int32), jnp.ones(2)), KEY)
    predict = compiled(ensemble.predict, static_argnums=5)
    outputs, after = predict(params, state, fast, inputs, KEY, True)
    np.testing.assert_allclose(after["seen"], params, rtol=1e-6)
    np.testing.assert_allclose(outputs, np.full((2, 4), np.mean(params)), rtol=1e-6)
    chex.assert_trees_all_equal(predict(params, state, fast, inputs, KEY, False)[1], state)


def test_no_members_and_an_unknown_space_are_errors():
    with pytest.raises(ValueError, match="members must be 1 or more, got 0"):
        averaging(ONE, 0)
    for build in (lambda: averaging(ONE, 2, "votes"), lambda: average_predictions(jnp.ones((2, 1, 3)), "votes")):
        with pytest.raises(ValueError, match="space must be 'probability', 'log' or 'output', got 'votes'"):
            build()
