"""Frames that a vector of the speaker scales and shifts."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxmeta import Model, Ragged
from jaxmeta.models.pretrained.context import with_modulation

UNCHANGED = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))


def speech():
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(2, 1, 3)), 4, axis=1)
    values = np.concatenate([rng.normal(size=(2, 4, 5)), vectors], axis=-1).astype(np.float32)
    return Ragged(jnp.asarray(values), jnp.array([4, 2]))


def test_modulation_starts_at_the_model_without_it():
    model, inputs = with_modulation(UNCHANGED, 3), speech()
    params, _ = model.init(jax.random.key(0), inputs)
    outputs, _ = model.apply(params, {}, inputs, jax.random.key(0), False)
    np.testing.assert_array_equal(outputs.values, inputs.values[..., :5])


def test_frames_are_scaled_and_shifted_by_the_vector():
    film = np.random.default_rng(1).normal(size=(3, 10)).astype(np.float32)
    inputs = speech()
    params = {"weights": {}, "film": jnp.asarray(film)}
    outputs, _ = with_modulation(UNCHANGED, 3).apply(params, {}, inputs, jax.random.key(0), False)
    frames, vector = np.asarray(inputs.values)[..., :5], np.asarray(inputs.values)[:, :1, 5:]
    wanted = frames * (1 + vector @ film[:, :5]) + vector @ film[:, 5:]
    np.testing.assert_allclose(outputs.values, wanted, rtol=1e-5, atol=1e-6)


def test_a_vector_of_no_numbers_is_refused():
    with pytest.raises(ValueError, match="size must be 1 or more, got 0"):
        with_modulation(UNCHANGED, 0)
