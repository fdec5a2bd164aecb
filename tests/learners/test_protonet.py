"""Prototypical networks against numpy."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta import Batch, Model, protonet
from jaxmeta.losses import cross_entropy

IDENTITY = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))
KEY = jax.random.key(0)


def test_logits_are_minus_the_squared_distances_to_weighted_class_means():
    rng = np.random.default_rng(0)
    support, query = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    targets, weight = np.array([0, 2, 1, 2, 1, 0]), np.array([1, 1, 1, 0, 1, 0.5])
    learner = protonet(IDENTITY, cross_entropy, 3)
    fast, _ = learner.adapt({}, {}, Batch(*map(jnp.asarray, (support, targets, weight))), KEY)
    means = [np.average(support[targets == c], axis=0, weights=weight[targets == c]) for c in range(3)]
    np.testing.assert_allclose(fast, means, rtol=1e-5)
    logits, _ = learner.predict({}, {}, fast, jnp.asarray(query), KEY, False)
    expected = [[-np.sum((q - m) ** 2) for m in means] for q in query]
    np.testing.assert_allclose(logits, expected, rtol=1e-4)


def test_a_class_without_support_has_no_prototype():
    batch = Batch(jnp.ones((2, 4)), jnp.array([0, 0]), jnp.ones(2))
    fast, _ = protonet(IDENTITY, cross_entropy, 2).adapt({}, {}, batch, KEY)
    assert np.isfinite(fast[0]).all() and np.isnan(fast[1]).all()
