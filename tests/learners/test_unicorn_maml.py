"""UNICORN-MAML: the order of classes means nothing to it, and does to MAML."""

import jax
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Model, maml, unicorn_maml
from jaxmeta.losses import cross_entropy
from tests.programs import compiled

IDENTITY = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))
KEY, RATE = jax.random.key(0), 0.3
TARGETS, ORDER = np.array([0, 2, 1, 2, 1, 0]), np.array([2, 0, 1])
RNG = np.random.default_rng(0)
SUPPORT, QUERY = RNG.normal(size=(6, 4)), RNG.normal(size=(5, 4))


def linear(ways):
    """A head of weights that differ between classes, as MAML learns them."""
    return Model(
        lambda key, inputs: ({"kernel": jax.random.normal(key, (inputs.shape[1], ways))}, {}),
        lambda params, state, inputs, key, train: (inputs @ params["kernel"], state),
    )


LEARNERS = {
    "unicorn_maml": unicorn_maml(IDENTITY, cross_entropy, optax.sgd(RATE), 2, 3),
    "maml": maml(linear(3), cross_entropy, optax.sgd(RATE), 2),
}


def outputs(learner, targets):
    params, state = compiled(learner.init)(KEY, SUPPORT)
    batch = Batch(SUPPORT, targets, np.ones(6))
    fast, _ = compiled(learner.adapt)(params, state, batch, KEY)
    return params, np.asarray(compiled(learner.predict, static_argnums=5)(params, state, fast, QUERY, KEY, False)[0])


@pytest.mark.slow
def test_permuted_labels_permute_its_outputs_and_change_those_of_maml():
    for name, learner in LEARNERS.items():
        own, permuted = outputs(learner, TARGETS)[1], outputs(learner, ORDER[TARGETS])[1]
        assert np.allclose(permuted[:, ORDER], own, atol=1e-5) == (name == "unicorn_maml")


@pytest.mark.slow
def test_a_step_moves_each_class_by_the_gradient_of_softmax_regression_from_one_vector():
    learner = unicorn_maml(IDENTITY, cross_entropy, optax.sgd(RATE), 1, 3)
    params, actual = outputs(learner, TARGETS)
    # All logits are alike before the step, so that every class has a probability of a third.
    error = (np.full((6, 3), 1 / 3) - np.eye(3)[TARGETS]) / 6
    kernel = np.asarray(params["head"])[:, None] - RATE * SUPPORT.T @ error
    np.testing.assert_allclose(actual, QUERY @ kernel - RATE * error.sum(0), atol=1e-5)
