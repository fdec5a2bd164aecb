"""Copies of a network's leaves for every inner step, as MAML++ uses them; in float64."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxmeta import Batch, Episode, Model, mixed_mode, unrolled
from jaxmeta.learners.maml_plus_plus import maml_plus_plus
from jaxmeta.learners.per_step import per_step
from jaxmeta.losses import squared_error
from jaxmeta.models.linen import from_linen
from jaxmeta.training import init_state, make_update
from jaxmeta.tree import Under
from tests.derivatives import slopes
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)


def batch(inputs, targets):
    return Batch(np.asarray(inputs, float), np.asarray(targets, float), np.ones(len(inputs)))


class Network(nn.Module):
    """A layer of tanh units with batch normalisation, added up."""

    @nn.compact
    def __call__(self, inputs, train=False):
        hidden = nn.Dense(3, use_bias=False)(inputs)
        return jnp.sum(jnp.tanh(nn.BatchNorm(use_running_average=not train, momentum=0.5)(hidden)), axis=-1)


def task(seed=0):
    rng = np.random.default_rng(seed)
    return Episode(*(batch(rng.normal(size=(n, 2)), rng.normal(size=n)) for n in (4, 5)))


def test_copies_are_stacked_taken_and_put_back():
    weights, statistics = {"norm": {"BatchNorm_0": jnp.arange(2.0)}, "other": jnp.ones(3)}, {"BatchNorm": jnp.ones(())}
    model = per_step(Model(lambda key, inputs: (weights, statistics), None), 2)
    params, state = model.init(KEY, None)
    np.testing.assert_array_equal(params["norm"]["BatchNorm_0"], [[0, 1]] * 3)
    np.testing.assert_array_equal(params["other"], np.ones(3))
    state = model.put(state, 1, {"BatchNorm": jnp.array(5.0)})
    assert [float(model.at(state, step)["BatchNorm"]) for step in (0, 1, 2, 3)] == [1, 5, 1, 1]
    # Steps beyond the last copy share it.
    state = model.put(state, 7, {"BatchNorm": jnp.array(9.0)})
    assert [float(model.at(state, step)["BatchNorm"]) for step in (0, 1, 2, 3)] == [1, 5, 9, 9]


def test_support_and_query_use_the_copy_of_the_steps_taken():
    """outputs = weight + shift of the step; its statistics are half the old ones plus the outputs."""

    def apply(params, state, inputs, key, train):
        outputs = params["weight"] + params["BatchNorm"]
        return jnp.broadcast_to(outputs, inputs.shape), {"BatchNorm": state["BatchNorm"] / 2 + outputs}

    learner = maml_plus_plus(per_step(Model(None, apply), 2), squared_error, 0.1, 2)
    weight, shift, old, rates = 0.3, np.array([0.1, -0.3, 0.2]), np.array([1.0, 2.0, 3.0]), np.array([0.15, 0.05])
    weights = {"weight": jnp.array(weight), "BatchNorm": jnp.asarray(shift)}
    params = {"weights": weights, "rates": {"weight": jnp.asarray(rates), "BatchNorm": None}}
    state = {"updates": jnp.int32(0), "model": {"BatchNorm": jnp.asarray(old)}}
    loss, after = compiled(learner.meta_loss)(params, state, Episode(batch([0], [0.7]), batch([0], [-0.4])), KEY)
    outputs = []
    for step in range(2):
        weight -= rates[step] * 2 * (weight + shift[step] - 0.7)
        outputs.append(weight + shift[step + 1])
    np.testing.assert_allclose(loss, np.mean(np.square(np.array(outputs) + 0.4)), rtol=1e-12)
    np.testing.assert_allclose(after["model"]["BatchNorm"], [old[0], *(old[1:] / 2 + outputs)], rtol=1e-12)


def test_prediction_uses_the_copy_of_the_last_step_and_training_replaces_it():
    def apply(params, state, inputs, key, train):
        return params["weight"] + params["BatchNorm"] + inputs * state["BatchNorm"], {"BatchNorm": jnp.sum(inputs)}

    learner = maml_plus_plus(per_step(Model(None, apply), 2), squared_error, 0.1, 2)
    params = {"weights": {"weight": jnp.array(1.0), "BatchNorm": jnp.array([10.0, 20.0, 30.0])}}
    state = {"updates": jnp.int32(7), "model": {"BatchNorm": jnp.array([4.0, 5.0, 6.0])}}
    fast = {"weight": jnp.array(2.0), "BatchNorm": None}
    outputs, after = compiled(learner.predict, static_argnums=5)(params, state, fast, np.array([1.0, 2.0]), KEY, True)
    np.testing.assert_array_equal(outputs, [2 + 30 + 6, 2 + 30 + 12])
    np.testing.assert_array_equal(after["model"]["BatchNorm"], [4, 5, 3])
    assert after["updates"] == 7


def test_each_step_keeps_statistics_of_its_own_through_updates():
    learner, outer = maml_plus_plus(per_step(from_linen(Network()), 2), squared_error, 0.5, 2), optax.sgd(0.1)
    train = init_state(learner, outer, KEY, task().support.inputs)
    assert jax.tree.map(jnp.shape, train.params["rates"]["BatchNorm_0"]) == {"scale": None, "bias": None}
    update = compiled(make_update(learner, outer))
    tasks = jax.tree.map(lambda *leaves: np.stack(leaves).astype(np.float32), *map(task, range(3)))
    tasks.query.targets[1] = np.nan  # a task that is left out must not hold the count back
    after = train
    for _ in range(2):
        after, metrics = update(after, tasks)
    assert metrics["masked"] == 1 and after.state["updates"] == 2
    chex.assert_trees_all_equal_shapes_and_dtypes(after, train)
    statistics = after.state["model"]["batch_stats"]["BatchNorm_0"]
    for leaf in (*after.params["weights"]["BatchNorm_0"].values(), *statistics.values()):
        assert leaf.shape == (3, 3)
        assert np.all(np.ptp(leaf, axis=0) > 1e-6), leaf
    np.testing.assert_array_equal(statistics["mean"][0], 0)  # no query set meets the weights before any step


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode()])
def test_gradients_of_rates_and_of_each_steps_normalisation_match_finite_differences(estimator):
    learner = maml_plus_plus(per_step(from_linen(Network()), 2), squared_error, 0.1, 2, estimator, 4)
    params, state = compiled(learner.init)(KEY, task().support.inputs)
    rng = np.random.default_rng(1)
    # No two copies equal, and float64, which linen does not start with.
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf + 0.1 * rng.normal(size=leaf.shape)), params)
    state = {"updates": jnp.int32(1), "model": jax.tree.map(lambda leaf: leaf.astype(float), state["model"])}
    slope, expected = slopes(lambda params: learner.meta_loss(params, state, task(), KEY)[0], params)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_nothing_left_to_adapt_is_an_error():
    model = Model(lambda key, inputs: ({"BatchNorm": jnp.ones(2), "head": jnp.ones(2)}, {}), None)
    learner = maml_plus_plus(per_step(model, 2), squared_error, 0.1, 2, adapt_only=Under("BatchNorm"))
    with pytest.raises(ValueError, match=r"name='BatchNorm'.*batch_norm.*nothing to adapt of .*head"):
        learner.init(KEY, None)


def test_a_network_without_such_leaves_is_unchanged():
    network = Model(
        lambda key, inputs: (jnp.array([0.3, -0.2]), {}),
        lambda params, state, inputs, key, train: (inputs @ params, state),
    )
    learners = [maml_plus_plus(each, squared_error, 0.1, 2) for each in (network, per_step(network, 2))]
    (params, state), other = (learner.init(KEY, None) for learner in learners)
    chex.assert_trees_all_equal((params, state), other)
    losses = [compiled(learner.meta_loss)(params, state, task(), KEY)[0] for learner in learners]
    assert losses[0] == losses[1]
