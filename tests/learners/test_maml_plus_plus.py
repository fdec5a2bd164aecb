"""MAML++ in float64: MAML where nothing is annealed, closed forms on a quadratic."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, maml, mixed_mode, truncated, unrolled
from jaxmeta.learners.maml_plus_plus import maml_plus_plus
from jaxmeta.losses import squared_error
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
RATES = np.array([0.15, 0.05, 0.3])
START, SUPPORT, QUERY = 0.3, 0.7, -0.4


def batch(inputs, targets):
    return Batch(np.asarray(inputs, float), np.asarray(targets, float), np.ones(len(inputs)))


QUADRATIC = Episode(batch([0], [SUPPORT]), batch([1], [QUERY]))


def constant(outputs=lambda weight, inputs: weight):
    """outputs = the one weight, whatever the input; its inner loss is (weight - target)^2."""

    def apply(params, state, inputs, key, train):
        return jnp.broadcast_to(outputs(params, inputs), inputs.shape), state

    return Model(lambda key, inputs: (jnp.array(START), {}), apply)


def after_steps(rates):
    """The weight after each step: a step of rate r leaves 1 - 2 r of the distance."""
    return SUPPORT + np.cumprod(1 - 2 * np.asarray(rates)) * (START - SUPPORT)


def test_with_one_rate_and_the_last_loss_it_is_maml():
    def apply(params, state, inputs, key, train):
        outputs = jnp.tanh(inputs @ params["body"]) @ params["head"]
        return outputs, {"mean": jnp.mean(outputs)}

    rng = np.random.default_rng(0)
    weights = {"body": jnp.asarray(rng.normal(size=(2, 3))), "head": jnp.asarray(rng.normal(size=3))}
    network = Model(lambda key, inputs: (weights, {"mean": jnp.zeros(())}), apply)
    task = Episode(*(batch(rng.normal(size=(n, 2)), rng.normal(size=n)) for n in (4, 5)))
    ours = maml_plus_plus(network, squared_error, 0.125, 2, multi_step_updates=0)
    plain = maml(network, squared_error, optax.sgd(0.125), 2)
    params, state = ours.init(KEY, None)

    def gradient(learner, params, state):
        return compiled(jax.value_and_grad(learner.meta_loss, has_aux=True))(params, state, task, KEY)

    (loss, after), slope = gradient(ours, params, state)
    (plain_loss, plain_after), plain_slope = gradient(plain, params["weights"], state["model"])
    np.testing.assert_allclose(loss, plain_loss, rtol=1e-12)
    chex.assert_trees_all_close(slope["weights"], plain_slope, rtol=1e-12, atol=1e-14)
    chex.assert_trees_all_close(after["model"], plain_after, rtol=1e-12)
    assert after["updates"] == 1


def test_the_loss_goes_from_the_mean_over_steps_to_the_last_one():
    learner = maml_plus_plus(constant(), squared_error, 0.1, 3, multi_step_updates=8)
    params = {"weights": jnp.array(START), "rates": jnp.asarray(RATES)}
    meta_loss = compiled(lambda n: learner.meta_loss(params, {"updates": n, "model": {}}, QUADRATIC, KEY)[0])
    losses = np.square(after_steps(RATES) - QUERY)
    for updates, weights in [(0, [8, 8, 8]), (2, [6, 6, 12]), (7, [1, 1, 22]), (8, [0, 0, 24]), (9000, [0, 0, 24])]:
        expected = np.dot(weights, losses) / 24
        np.testing.assert_allclose(meta_loss(jnp.int32(updates)), expected, rtol=1e-12, err_msg=str(updates))


def test_the_first_loss_is_the_mean_of_the_losses_of_maml_with_one_and_two_steps():
    learner = maml_plus_plus(constant(), squared_error, 0.1, 2)
    params, state = learner.init(KEY, np.zeros(1))
    plain = [maml(constant(), squared_error, optax.sgd(0.1), k).meta_loss for k in (1, 2)]
    expected = np.mean([compiled(meta_loss)(jnp.array(START), {}, QUADRATIC, KEY)[0] for meta_loss in plain])
    np.testing.assert_allclose(compiled(learner.meta_loss)(params, state, QUADRATIC, KEY)[0], expected, rtol=1e-12)


def test_a_query_loss_without_weight_is_not_evaluated():
    """After the first of two steps the weight is negative, and the query set takes its root."""
    model = constant(lambda weight, inputs: jax.lax.cond(inputs[0] > 0, jnp.sqrt, lambda weight: weight, weight))
    learner = maml_plus_plus(model, squared_error, 0.1, 2, multi_step_updates=4)
    params = {"weights": jnp.array(1.1), "rates": jnp.full(2, 0.75)}
    episode = QUADRATIC._replace(support=batch([0], [0.1]))  # weights 1.1, -0.4, 0.35

    def meta_loss(params, updates):
        return learner.meta_loss(params, {"updates": updates, "model": {}}, episode, KEY)[0]

    value_and_gradient = compiled(jax.value_and_grad(meta_loss))
    assert np.isnan(value_and_gradient(params, jnp.int32(3))[0])
    value, gradient = value_and_gradient(params, jnp.int32(4))
    np.testing.assert_allclose(value, (np.sqrt(0.35) - QUERY) ** 2, rtol=1e-12)
    assert all(np.all(np.isfinite(leaf)) for leaf in gradient.values())


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode(), truncated(1)])
def test_updates_are_first_order_up_to_the_one_that_is_named(estimator):
    learner = maml_plus_plus(constant(), squared_error, 0.1, 3, estimator, 0, first_order_updates=5)

    def meta_loss(params, updates):
        return learner.meta_loss(params, {"updates": updates, "model": {}}, QUADRATIC, KEY)[0]

    gradient = compiled(jax.grad(meta_loss))
    params = {"weights": jnp.array(START), "rates": jnp.asarray(RATES)}
    last = after_steps(RATES)[-1]
    before = np.array([START, *after_steps(RATES)[:-1]])
    shrink = 1 - 2 * RATES
    for updates, through in [(0, [1, 1, 1]), (4, [1, 1, 1]), (5, shrink), (6, shrink)]:
        slope = gradient(params, jnp.int32(updates))
        np.testing.assert_allclose(slope["weights"], 2 * (last - QUERY) * np.prod(through), rtol=1e-12)
        # A step's rate moves the weight by -2 (weight - target), of which later steps leave what they let through.
        later = np.array([np.prod(through[k + 1 :]) for k in range(3)])
        np.testing.assert_allclose(slope["rates"], -4 * (last - QUERY) * (before - SUPPORT) * later, rtol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 3, 5])
def test_more_steps_than_trained_repeat_the_last_rate_and_fewer_use_the_first(steps):
    learner = maml_plus_plus(constant(), squared_error, 9.0, steps)
    params, state = {"weights": jnp.array(START), "rates": jnp.asarray(RATES)}, {"updates": jnp.int32(0), "model": {}}
    fast, info = compiled(learner.adapt)(params, state, QUADRATIC.support, KEY)
    path = [START, *after_steps([*RATES, RATES[-1], RATES[-1]][:steps])]
    np.testing.assert_allclose(fast, path[-1], rtol=1e-12)
    np.testing.assert_allclose(info["loss"], np.square(np.array(path[:-1]) - SUPPORT), rtol=1e-12)


def test_what_it_cannot_do_is_an_error():
    with pytest.raises(ValueError, match=r"truncated\(last=2\).*steps=1; use unrolled"):
        maml_plus_plus(constant(), squared_error, 0.1, 3, truncated(2))
    with pytest.raises(ValueError, match=r"0 or more, got steps=-1, multi_step_updates=5, first_order_updates=0"):
        maml_plus_plus(constant(), squared_error, 0.1, -1, multi_step_updates=5)
    learner = maml_plus_plus(constant(), squared_error, 0.1, 0)
    with pytest.raises(ValueError, match="1 step or more, got steps=0"):
        learner.meta_loss(*learner.init(KEY, None), QUADRATIC, KEY)
