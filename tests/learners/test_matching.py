"""Matching networks against numpy, in float64."""

import jax
import numpy as np
import pytest

from jaxmeta import Batch, Model
from jaxmeta.learners.matching import matching
from jaxmeta.losses import cross_entropy
from tests.derivatives import slopes
from tests.problem import WAYS, episodes, network, one
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
IDENTITY = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))
KEY = jax.random.key(0)
TARGETS, WEIGHT = np.array([0, 2, 1, 2, 1, 0]), np.array([1, 1, 1, 0, 2, 0.5])


def traced(support, targets, weight, query, scale=10.0):
    learner = matching(IDENTITY, cross_entropy, 3, scale)
    fast, _ = learner.adapt({}, {}, Batch(support, targets, weight), KEY)
    return learner.predict({}, {}, fast, query, KEY, False)[0]


outputs = compiled(traced, static_argnames="scale")


def cosines(query, support):
    return query @ support.T / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(support, axis=1)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_outputs_are_the_log_of_the_attention_summed_over_each_class(scale):
    rng = np.random.default_rng(0)
    support, query = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    attention = WEIGHT * np.exp(scale * cosines(query, support))
    attention /= attention.sum(axis=1, keepdims=True)
    expected = np.log(attention @ np.eye(3)[TARGETS])
    np.testing.assert_allclose(outputs(support, TARGETS, WEIGHT, query, scale), expected, rtol=1e-11)


def test_attention_too_small_for_a_float_has_a_finite_log_and_gradient():
    support, query = np.array([[1.0, 0], [-1, 0], [0, 1]]), np.array([[1.0, 0]])
    targets, scale = np.arange(3), 1000.0
    actual = outputs(support, targets, np.ones(3), query, scale)
    # Cosines 1, -1 and 0, of which the first takes all the attention: exp(-2000) and exp(-1000) are 0.
    np.testing.assert_allclose(actual, [[0, -2000, -1000]], rtol=1e-12, atol=1e-12)
    log = compiled(jax.grad(lambda query, targets: traced(support, targets, np.ones(3), query, scale)[0, 1]))
    gradient = log(query, targets)
    assert np.isfinite(gradient).all()


def test_an_embedding_of_length_0_attends_equally_and_has_a_finite_gradient():
    support, query = np.array([[1.0, 2], [0, 0], [3, 1]]), np.zeros((1, 2))
    weight = np.array([1.0, 2, 1])
    np.testing.assert_allclose(outputs(support, np.arange(3), weight, query), np.log([[0.25, 0.5, 0.25]]), rtol=1e-12)
    log = compiled(jax.grad(lambda s, q, targets: traced(s, targets, weight, q)[0, 0], argnums=(0, 1)))
    gradients = log(support, query, np.arange(3))
    assert all(np.isfinite(leaf).all() for leaf in gradients)


def test_the_meta_gradient_matches_finite_differences():
    episode = one(episodes(dtype=np.float64))
    learner = matching(network(6), cross_entropy, WAYS)
    params, state = compiled(learner.init)(KEY, episode.support.inputs)
    slope, expected = slopes(lambda params: learner.meta_loss(params, state, episode, KEY)[0], params)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan")])
def test_a_scale_that_is_not_above_0_is_an_error(scale):
    with pytest.raises(ValueError, match=f"scale must be above 0, got {scale}"):
        matching(IDENTITY, cross_entropy, 3, scale)
