"""Enrolment against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Batch, Model
from jaxmeta.learners.enrolment import enrolment
from jaxmeta.speaker_losses import margin_softmax
from tests.programs import compiled

IDENTITY = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))
KEY = jax.random.key(0)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("ways", [1, 3])
def test_scores_are_cosines_to_the_mean_direction_of_who_enrolled(ways):
    rng = np.random.default_rng(0)
    support, query = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    targets, weight = np.arange(6) % ways, np.array([1, 1, 1, 0, 1, 0.5])
    learner = enrolment(IDENTITY, margin_softmax(0.0), ways)
    with jax.enable_x64(True):
        fast, _ = compiled(learner.adapt)({}, {}, Batch(support, targets, weight), KEY)
        scores, _ = compiled(learner.predict, static_argnums=5)({}, {}, fast, query, KEY, False)
    rows = [targets == c for c in range(ways)]
    means = [np.average(unit(support)[mask], axis=0, weights=weight[mask]) for mask in rows]
    np.testing.assert_allclose(scores, unit(query) @ unit(np.array(means)).T, rtol=1e-12)


def test_a_speaker_without_recordings_is_said():
    batch = Batch(jnp.ones((2, 4)), jnp.zeros(2, jnp.int32), jnp.ones(2))
    with pytest.raises(ValueError, match=r"no example of class \[1\]"):
        enrolment(IDENTITY, margin_softmax(), 2).adapt({}, {}, batch, KEY)
