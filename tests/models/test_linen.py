"""The adapter from linen."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxmeta.models.linen import from_linen
from tests.programs import jitted

KEY = jax.random.key(0)
INPUTS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


class Regularised(nn.Module):
    @nn.compact
    def __call__(self, inputs, train):
        hidden = nn.BatchNorm(use_running_average=not train, momentum=0.5)(nn.Dense(4)(inputs))
        return nn.Dropout(0.5, deterministic=not train)(hidden)


def test_a_module_without_train_becomes_params_and_an_empty_state():
    model = jitted(from_linen(nn.Dense(2)))
    params, state = model.init(KEY, INPUTS)
    outputs, after = model.apply(params, state, INPUTS, KEY, True)
    assert state == {} and after == {}
    np.testing.assert_allclose(outputs, INPUTS @ np.asarray(params["kernel"]) + np.asarray(params["bias"]), rtol=1e-6)


def test_state_changes_in_training_only_and_dropout_follows_the_key():
    model = jitted(from_linen(Regularised()))
    params, state = model.init(KEY, INPUTS)
    first, trained = model.apply(params, state, INPUTS, jax.random.key(1), True)
    again, _ = model.apply(params, state, INPUTS, jax.random.key(1), True)
    other, _ = model.apply(params, state, INPUTS, jax.random.key(2), True)
    chex.assert_trees_all_equal(first, again)
    assert not np.allclose(first, other)
    hidden = INPUTS @ np.asarray(params["Dense_0"]["kernel"]) + np.asarray(params["Dense_0"]["bias"])
    np.testing.assert_allclose(trained["batch_stats"]["BatchNorm_0"]["mean"], hidden.mean(0) / 2, atol=1e-6)
    _, kept = model.apply(params, trained, INPUTS, KEY, False)
    chex.assert_trees_all_equal(kept, trained)


def test_batch_statistics_keep_their_type_under_float64():
    with jax.enable_x64(True):
        model = jitted(from_linen(Regularised()))
        params, state = model.init(KEY, INPUTS.astype(jnp.float64))
        _, after = model.apply(params, state, INPUTS.astype(jnp.float64), KEY, True)
        chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
