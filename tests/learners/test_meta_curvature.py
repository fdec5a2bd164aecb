"""Meta-curvature in float64: what the matrices do, that they are learned, and what they gain."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, first_order, maml, mixed_mode, unrolled
from jaxmeta.learners.meta_curvature import meta_curvature
from jaxmeta.losses import squared_error
from jaxmeta.training import init_state, make_update
from jaxmeta.tree import Under
from tests.derivatives import slopes
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
ESTIMATORS = {"unrolled": unrolled(), "mixed_mode": mixed_mode()}


def network(activation=jnp.tanh):
    """Leaves of two, one and no axes."""
    rng = np.random.default_rng(0)
    weights = {"kernel": rng.normal(size=(2, 3)), "bias": rng.normal(size=3), "gain": rng.normal()}

    def apply(params, state, inputs, key, train):
        return params["gain"] * activation(inputs @ params["kernel"] + params["bias"]), state

    return Model(lambda key, inputs: (jax.tree.map(jnp.asarray, weights), {}), apply)


def task(seed=0):
    rng = np.random.default_rng(seed)
    batch = lambda n: Batch(rng.normal(size=(n, 2)), rng.normal(size=(n, 3)), np.ones(n))  # noqa: E731
    return Episode(batch(3), batch(4))


def spread(curvature):
    """Matrices that are not the identity, nor symmetric."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda m: m + 0.3 * rng.normal(size=m.shape), curvature)


def test_at_the_start_it_is_maml():
    learner = meta_curvature(network(), squared_error, 0.1, 2)
    params, _ = learner.init(KEY, task().support.inputs)

    def gradient(learner, params):
        return compiled(jax.value_and_grad(lambda params: learner.meta_loss(params, {}, task(), KEY)[0]))(params)

    loss, ours = gradient(learner, params)
    plain_loss, plain = gradient(maml(network(), squared_error, optax.sgd(0.1), 2), params["weights"])
    np.testing.assert_allclose(loss, plain_loss, rtol=1e-12)
    chex.assert_trees_all_close(ours["weights"], plain, rtol=1e-10, atol=1e-13)  # sums in another order


def test_a_step_multiplies_the_gradient_along_each_axis():
    learner = meta_curvature(network(lambda x: x), squared_error, 0.1, 1)
    params, _ = learner.init(KEY, task().support.inputs)
    params["curvature"] = spread(params["curvature"])
    support = task().support
    fast, _ = compiled(learner.adapt)(params, {}, support, KEY)
    x, y = support.inputs, support.targets
    weights, curvature = jax.tree.map(np.asarray, (params["weights"], params["curvature"]))
    hidden = x @ weights["kernel"] + weights["bias"]
    residual = 2 * (weights["gain"] * hidden - y) / y.size
    rows, columns = curvature["kernel"]
    gradients = weights["gain"] * x.T @ residual, weights["gain"] * residual.sum(0), np.sum(residual * hidden)
    expected = {
        "kernel": weights["kernel"] - 0.1 * rows @ gradients[0] @ columns.T,
        "bias": weights["bias"] - 0.1 * curvature["bias"][0] @ gradients[1],
        "gain": weights["gain"] - 0.1 * curvature["gain"][0][0, 0] * gradients[2],
    }
    chex.assert_trees_all_close(fast, expected, rtol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_gradient_of_weights_and_matrices_matches_finite_differences(estimator):
    learner = meta_curvature(network(), squared_error, 0.1, 2, ESTIMATORS[estimator])
    params, _ = learner.init(KEY, task().support.inputs)
    params["curvature"] = spread(params["curvature"])
    slope, expected = slopes(lambda params: learner.meta_loss(params, {}, task(), KEY)[0], params)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_learned_matrices_do_what_no_single_rate_can():
    """One step on a narrow valley that lies across the axes; tasks on all sides, so that the weights stay."""
    turn = np.array([[3, -4], [4, 3]]) / 5
    inputs = turn @ np.diag([1, 2]) @ turn.T
    model = Model(
        lambda key, inputs: (jnp.zeros(2), {}),
        lambda params, state, inputs, key, train: (inputs @ params, state),
    )
    targets = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], float)
    batch = Batch(np.tile(inputs, (4, 1, 1)), targets, np.ones((4, 2)))
    learner, outer = meta_curvature(model, squared_error, 0.2, 1, first_order()), optax.sgd(1.0)
    train = first = init_state(learner, outer, KEY, inputs)
    update = compiled(make_update(learner, outer))
    for _ in range(300):
        train, metrics = update(train, Episode(batch, batch))
    # The mean of two squares has the curvatures 1 and 4, and a step with rate r leaves 1 - r and 1 - 4 r of the error:
    # the mean over tasks of the loss is ((1 - r)^2 + (1 - 4 r)^2) / 4, least at r = 5 / 17.
    best = ((1 - 5 / 17) ** 2 + (1 - 20 / 17) ** 2) / 4
    assert metrics["loss"] < 0.01 * best
    chex.assert_trees_all_equal(train.params["weights"], first.params["weights"])
    chex.assert_trees_all_equal_shapes_and_dtypes(train, first)


def test_long_axes_keep_the_identity_and_leaves_that_do_not_adapt_have_no_matrix():
    learner = meta_curvature(network(), squared_error, 0.1, 1, limit=2)
    params, _ = learner.init(KEY, task().support.inputs)
    shapes = jax.tree.map(jnp.shape, params["curvature"])
    assert shapes == {"kernel": ((2, 2), None), "bias": (None,), "gain": ((1, 1),)}
    plain = maml(network(), squared_error, optax.sgd(0.1), 1)
    fast = [
        compiled(each.adapt)(p, {}, task().support, KEY)[0]
        for each, p in ((learner, params), (plain, params["weights"]))
    ]
    chex.assert_trees_all_close(*fast, rtol=1e-12)
    only = meta_curvature(network(), squared_error, 0.1, 1, adapt_only=Under("bias"))
    assert jax.tree.map(jnp.shape, only.init(KEY, None)[0]["curvature"]) == {
        "kernel": None, "bias": ((3, 3),), "gain": None,
    }  # fmt: skip


def test_matrices_have_the_dtype_of_their_weights():
    model = Model(lambda key, inputs: (jnp.zeros((2, 3), jnp.bfloat16), {}), lambda *arguments: None)
    params, _ = meta_curvature(model, squared_error, 0.1, 1).init(KEY, None)
    assert [matrix.dtype for matrix in params["curvature"]] == [jnp.bfloat16] * 2
