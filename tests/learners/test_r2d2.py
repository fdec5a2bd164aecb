"""The ridge-regression head against numpy's primal solution, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Batch, Model
from jaxmeta.learners.r2d2 import r2d2, ridge_map
from jaxmeta.losses import cross_entropy, squared_error
from tests.derivatives import slopes
from tests.problem import WAYS, episodes, network, one
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
IDENTITY = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))
KEY = jax.random.key(0)
TARGETS, WEIGHT = np.array([0, 2, 1, 2, 1, 0]), np.array([1, 1, 1, 0, 2, 0.5])


def primal(features, targets, weight, ridge):
    """The minimum of sum_n weight_n |x_n W - y_n|^2 + ridge |W|^2, from its normal equations [F, F]."""
    weighted = features.T * weight
    return np.linalg.solve(weighted @ features + ridge * np.eye(features.shape[1]), weighted @ targets)


@pytest.mark.parametrize("size", [4, 11])  # below and above the number of examples
def test_logits_are_those_of_primal_ridge_regression_to_one_hot_labels(size):
    rng = np.random.default_rng(0)
    support, query = rng.normal(size=(6, size)), rng.normal(size=(5, size))
    learner = r2d2(IDENTITY, cross_entropy, 3)
    initial, _ = learner.init(KEY, support)
    params = initial | {"log_ridge": jnp.array(np.log(0.3)), "scale": jnp.array(2.5), "bias": jnp.array(0.7)}
    fast, info = compiled(learner.adapt)(params, {}, Batch(support, TARGETS, WEIGHT), KEY)
    expected = primal(support, np.eye(3)[TARGETS], WEIGHT, 0.3)
    np.testing.assert_allclose(fast, expected, rtol=1e-10)  # the condition number is below 1e3
    assert info == {}
    logits, _ = compiled(learner.predict, static_argnums=5)(params, {}, fast, query, KEY, False)
    np.testing.assert_allclose(logits, 2.5 * query @ expected + 0.7, rtol=1e-10)


def test_without_ways_the_targets_are_regressed_with_an_offset():
    rng = np.random.default_rng(1)
    support, targets, query = rng.normal(size=(6, 3)), rng.normal(size=(6, 2)) + 5, rng.normal(size=(4, 3))
    learner = r2d2(IDENTITY, squared_error)
    params, _ = learner.init(KEY, support)
    fast, _ = compiled(learner.adapt)(params, {}, Batch(support, targets, WEIGHT), KEY)
    outputs, _ = compiled(learner.predict, static_argnums=5)(params, {}, fast, query, KEY, False)
    with_constant = (np.concatenate([x, np.ones((len(x), 1))], axis=1) for x in (support, query))
    seen, asked = with_constant
    np.testing.assert_allclose(outputs, asked @ primal(seen, targets, WEIGHT, 1.0), rtol=1e-10)


def test_rows_of_weight_0_are_inert_and_have_a_finite_derivative():
    rng = np.random.default_rng(2)
    features, targets, log_ridge = rng.normal(size=(6, 4)), rng.normal(size=(6, 2)), np.array(-1.0)
    padded = (
        np.concatenate([features, np.full((2, 4), 1e6)]),
        np.concatenate([targets, np.full((2, 2), -1e6)]),
        np.concatenate([WEIGHT, np.zeros(2)]),
    )
    program = compiled(ridge_map)
    np.testing.assert_allclose(program(*padded, log_ridge), program(features, targets, WEIGHT, log_ridge), rtol=1e-12)
    gradient = jax.grad(lambda *args: jnp.sum(ridge_map(*args) ** 2), argnums=(0, 1, 2, 3))
    gradients = compiled(gradient)(*padded, log_ridge)
    assert all(np.isfinite(leaf).all() for leaf in gradients)
    np.testing.assert_array_equal(np.asarray(gradients[0])[6:], 0)


@pytest.mark.parametrize("ways", [WAYS, None])
def test_the_meta_gradient_matches_finite_differences(ways):
    episode = one(episodes(dtype=np.float64))
    loss = cross_entropy
    if ways is None:
        loss = squared_error
        episode = jax.tree.map(lambda batch: batch._replace(targets=np.sin(batch.targets[:, None] * np.ones(2))),
                               episode, is_leaf=lambda node: isinstance(node, Batch))  # fmt: skip
    learner = r2d2(network(6), loss, ways)
    params, state = compiled(learner.init)(KEY, episode.support.inputs)
    slope, expected = slopes(lambda params: learner.meta_loss(params, state, episode, KEY)[0], params)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_the_derivative_by_the_ridge_matches_finite_differences():
    rng = np.random.default_rng(4)
    features, targets, weight = (jnp.asarray(x) for x in (rng.normal(size=(6, 4)), rng.normal(size=(6, 2)), WEIGHT))
    slope, expected = slopes(lambda r: jnp.sum(ridge_map(features, targets, weight, r) ** 2), jnp.array(0.2))
    np.testing.assert_allclose(slope, expected, rtol=1e-6)
    assert abs(slope) > 1e-3


def test_a_class_without_support_is_regressed_to_0():
    batch = Batch(jnp.eye(3), jnp.array([0, 2, 2]), jnp.ones(3))
    learner = r2d2(IDENTITY, cross_entropy, 3)
    fast, _ = compiled(learner.adapt)(learner.init(KEY, batch.inputs)[0], {}, batch, KEY)
    # One example of each feature and ridge 1: every coefficient is half its least-squares value.
    np.testing.assert_allclose(fast, [[0.5, 0, 0], [0, 0, 0.5], [0, 0, 0.5]], rtol=1e-12)


def test_bfloat16_features_are_solved_in_float32_and_keep_their_dtype():
    rng = np.random.default_rng(3)
    features, targets = (jnp.asarray(rng.normal(size=shape), jnp.bfloat16) for shape in ((6, 4), (6, 2)))
    weight = jnp.asarray(WEIGHT, jnp.float32)
    actual = compiled(ridge_map)(features, targets, weight, jnp.zeros((), jnp.bfloat16))
    assert actual.dtype == jnp.bfloat16
    expected = primal(np.asarray(features, np.float64), np.asarray(targets, np.float64), WEIGHT, 1.0)
    np.testing.assert_allclose(np.asarray(actual, np.float64), expected, rtol=2**-8)  # one rounding to eight bits


@pytest.mark.parametrize("targets", [np.array([0, 1, 0]), np.zeros(3), np.zeros((3, 1), np.int32)])
def test_targets_that_need_ways_are_an_error(targets):
    batch = Batch(jnp.ones((3, 2)), jnp.asarray(targets), jnp.ones(3))
    learner = r2d2(IDENTITY, squared_error)
    with pytest.raises(ValueError, match=r"targets must be floats \[N, D\], got .*pass ways"):
        learner.adapt(learner.init(KEY, batch.inputs)[0], {}, batch, KEY)
