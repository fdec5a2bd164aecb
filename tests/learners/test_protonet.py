"""Prototypical networks against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, protonet
from jaxmeta.losses import cross_entropy
from jaxmeta.training import init_state, make_update
from tests.programs import compiled

IDENTITY = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))
SCALED = Model(lambda key, x: (jnp.ones(()), {}), lambda params, state, x, key, train: (params * x, state))
KEY = jax.random.key(0)


def test_logits_are_minus_the_squared_distances_to_weighted_class_means():
    rng = np.random.default_rng(0)
    support, query = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    targets, weight = np.array([0, 2, 1, 2, 1, 0]), np.array([1, 1, 1, 0, 1, 0.5])
    learner = protonet(IDENTITY, cross_entropy, 3)
    with jax.enable_x64(True):
        fast, _ = compiled(learner.adapt)({}, {}, Batch(support, targets, weight), KEY)
        logits, _ = compiled(learner.predict, static_argnums=5)({}, {}, fast, query, KEY, False)
    means = [np.average(support[targets == c], axis=0, weights=weight[targets == c]) for c in range(3)]
    expected = [[-np.sum((q - m) ** 2) for m in means] for q in query]
    np.testing.assert_allclose(fast, means, rtol=1e-12)  # a few roundings of float64
    np.testing.assert_allclose(logits, expected, rtol=1e-12)


def test_under_jit_a_class_without_support_has_no_prototype():
    batch = Batch(jnp.ones((2, 4)), jnp.array([0, 0]), jnp.ones(2))
    fast, _ = compiled(protonet(IDENTITY, cross_entropy, 2).adapt)({}, {}, batch, KEY)
    fast = np.asarray(fast)
    assert np.isfinite(fast[0]).all() and np.isnan(fast[1]).all()


@pytest.mark.parametrize("wrong", [7, -1, 0])  # 0 leaves class 1 without an example
def test_a_task_with_a_wrong_support_label_is_left_out_of_the_update(wrong):
    rng = np.random.default_rng(0)
    targets = np.array([[0, 1], [0, wrong], [0, 1]], np.int32)
    support = Batch(rng.normal(size=(3, 2, 4)).astype(np.float32), targets, np.ones((3, 2), np.float32))
    episodes = jax.tree.map(jnp.asarray, Episode(support, support._replace(targets=targets[[0, 0, 0]])))
    learner = protonet(SCALED, cross_entropy, 2)
    train = init_state(learner, optax.sgd(0.1), KEY, episodes.support.inputs[0])
    _, metrics = compiled(make_update(learner, optax.sgd(0.1)))(train, episodes)
    assert int(metrics["masked"]) == 1 and np.isfinite(metrics["loss"])


def test_embeddings_keep_their_dtype_whatever_that_of_the_weight():
    batch = Batch(jnp.ones((2, 4), jnp.bfloat16), jnp.array([0, 1]), jnp.ones(2, jnp.float32))
    fast, _ = compiled(protonet(IDENTITY, cross_entropy, 2).adapt)({}, {}, batch, KEY)
    assert fast.dtype == jnp.bfloat16
