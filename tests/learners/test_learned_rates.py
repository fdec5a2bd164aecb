"""Rates among the params: their form, a step at them, and their derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Batch, Episode, Model, check_estimator, mixed_mode, tree
from jaxmeta.learners.learned_rates import at_learned_rates, new_rates, remark_on_steps, with_rates, without_rates
from jaxmeta.losses import squared_error
from tests.programs import compiled

KEY = jax.random.key(0)


def linear():
    def init(key, inputs):
        return {"kernel": jnp.ones((inputs.shape[1], 1)), "bias": jnp.zeros(1)}, {}

    return Model(init, lambda params, state, inputs, key, train: (inputs @ params["kernel"] + params["bias"], state))


INPUTS = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], np.float32)
TARGETS = np.array([[1.0], [0.0], [2.0]], np.float32)
BATCH = Batch(INPUTS, TARGETS, np.ones(3, np.float32))


def test_rates_have_the_form_that_is_asked_for():
    weights = {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}
    assert new_rates(weights, "layer", 0.5) == {"kernel": 0.5, "bias": 0.5}
    assert new_rates(weights, "weight", 0.5)["kernel"].shape == (2, 1)
    model = linear()
    assert with_rates(model, "none") is model
    with pytest.raises(ValueError, match="rates='unit' must be 'none', 'layer' or 'weight'"):
        with_rates(model, "unit")


@pytest.mark.slow
@pytest.mark.parametrize("rates", ["layer", "weight"])
def test_a_step_goes_by_the_rate_of_each_leaf_and_outputs_do_not_depend_on_it(rates):
    model = with_rates(linear(), rates)
    params = compiled(model.init)(KEY, INPUTS)[0]
    params["rate"] = new_rates(without_rates(params), rates, 0.1) | {
        "bias": jnp.full(() if rates == "layer" else 1, 0.3)
    }
    learner = at_learned_rates(model, squared_error, 1)
    fast, _ = compiled(learner.adapt)(params, {}, BATCH, KEY)
    error = INPUTS @ np.ones((2, 1)) - TARGETS
    # The loss of a row is the sum, or the mean, of its one squared error.
    np.testing.assert_allclose(fast["kernel"], 1 - 0.1 * 2 * INPUTS.T @ error / 3, rtol=1e-5)
    np.testing.assert_allclose(fast["bias"], -0.3 * 2 * error.mean(0), rtol=1e-5)
    whole = tree.merge(fast, params)
    np.testing.assert_array_equal(whole["rate"]["bias"], params["rate"]["bias"])
    outputs = compiled(learner.predict, static_argnums=5)(params, {}, fast, INPUTS, KEY, False)[0]
    np.testing.assert_allclose(outputs, INPUTS @ fast["kernel"] + fast["bias"], rtol=1e-5)


@pytest.mark.slow
def test_mixed_mode_is_exact_for_weights_and_rates():
    model = with_rates(linear(), "layer")
    params = {
        "kernel": jnp.ones((2, 1)),
        "bias": jnp.zeros(1),
        "rate": {"kernel": jnp.array(0.05), "bias": jnp.array(0.2)},
    }
    episode = Episode(BATCH, BATCH._replace(targets=TARGETS + 1))
    assert check_estimator(partial(_learner, model), episode, params=params, state={}) == {}
    gradient = compiled(jax.grad(lambda p: _learner(model, mixed_mode()).meta_loss(p, {}, episode, KEY)[0]))(params)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def _learner(model, estimator):
    return at_learned_rates(model, squared_error, 2, estimator)


def test_more_steps_than_rates_were_learned_for_are_remarked_on():
    assert "learned its rates for 1 inner steps, and 5, 10 may diverge; train it with steps=10" in remark_on_steps(
        "meta_sgd", 1, (0, 1, 10, 5)
    )
    assert remark_on_steps("maml", 1, (1, 10)) is None and remark_on_steps("meta_sgd", 10, (1, 10)) is None
