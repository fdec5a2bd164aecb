"""Meta-SGD in float64: rates that have a closed form, and MAML where they are constant."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, first_order, maml, mixed_mode
from jaxmeta.learners.meta_sgd import meta_sgd
from jaxmeta.losses import squared_error
from jaxmeta.training import init_state, make_update
from jaxmeta.tree import Under
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)


def diagonal(dtype=None):
    """outputs = inputs * params, so that each coordinate has a curvature of its own."""
    init = lambda key, inputs: ({"body": jnp.zeros(2, dtype), "head": jnp.zeros(2, dtype)}, {})  # noqa: E731
    return Model(init, lambda params, state, inputs, key, train: (inputs * (params["body"] + params["head"]), state))


def episode(targets, query=None, inputs=(1.0, 2.0)):
    """One example; by default the query set is the support set."""
    batch = lambda y: Batch(np.array([inputs]), np.array([y]), np.ones(1))  # noqa: E731
    return Episode(batch(targets), batch(targets if query is None else query))


def test_descent_on_the_rates_finds_one_over_the_curvature():
    model = diagonal()._replace(
        init=lambda key, inputs: (jnp.zeros(2), {}),
        apply=lambda params, state, inputs, key, train: (inputs * params, state),
    )
    learner, outer = meta_sgd(model, squared_error, 0.1), optax.sgd(0.1)
    # Tasks on both sides of the weights, so that the weights stay and the rates alone are learned.
    tasks = jax.tree.map(lambda *leaves: np.stack(leaves), episode([1.0, 1.0]), episode([-1.0, -1.0]))
    train = first = init_state(learner, outer, KEY, np.ones((1, 2)))
    update = compiled(make_update(learner, outer))
    for _ in range(300):
        train, _ = update(train, tasks)
    # The loss is half of the sum of (inputs * w - y)^2: curvatures 1 and 4. An update leaves 1 - 0.1 * 1 of the first
    # rate's error and 1 - 0.1 * 16 of the second's: 2e-14 of both after 300.
    np.testing.assert_allclose(train.params["rate"], [1, 1 / 4], rtol=1e-12)
    chex.assert_trees_all_equal(train.params["weights"], first.params["weights"])
    chex.assert_trees_all_equal_shapes_and_dtypes(train, first)


def test_first_order_learns_the_rates_by_the_closed_form():
    learner = meta_sgd(diagonal(), squared_error, 0.15, 2, first_order(), Under("head"))
    support, query, inputs = np.array([0.7, -0.2]), np.array([-0.4, 0.5]), np.array([1.0, 2.0])
    task = episode(support, query, inputs)
    params, state = learner.init(KEY, task.support.inputs)
    gradient = compiled(jax.grad(lambda params: learner.meta_loss(params, state, task, KEY)[0]))(params)
    w, inner = np.zeros(2), []
    for _ in range(2):
        inner.append(inputs * (inputs * w - support))
        w = w - 0.15 * inner[-1]
    outer = inputs * (inputs * w - query)
    # The steps are -rate * g0 and -rate * g1, with g0 and g1 held constant.
    np.testing.assert_allclose(gradient["rate"]["head"], -outer * (inner[0] + inner[1]), rtol=1e-12)
    np.testing.assert_allclose(gradient["weights"]["head"], outer, rtol=1e-12)
    assert gradient["rate"]["body"] is None


def test_constant_rates_give_maml():
    def apply(params, state, inputs, key, train):
        return jnp.tanh(inputs @ params["body"]) @ params["head"], state

    rng = np.random.default_rng(0)
    weights = {"body": jnp.asarray(rng.normal(size=(2, 3))), "head": jnp.asarray(rng.normal(size=3))}
    model = Model(lambda key, inputs: (weights, {}), apply)
    batch = lambda n: Batch(rng.normal(size=(n, 2)), rng.normal(size=n), np.ones(n))  # noqa: E731
    task = Episode(batch(3), batch(4))
    learner = meta_sgd(model, squared_error, 0.1, 3, mixed_mode())
    params, _ = learner.init(KEY, task.support.inputs)

    def gradient(learner, params):
        return compiled(jax.value_and_grad(lambda params: learner.meta_loss(params, {}, task, KEY)[0]))(params)

    loss, ours = gradient(learner, params)
    plain_loss, plain = gradient(maml(model, squared_error, optax.sgd(0.1), 3), weights)
    np.testing.assert_allclose(loss, plain_loss, rtol=1e-12)
    chex.assert_trees_all_close(ours["weights"], plain, rtol=1e-10, atol=1e-13)  # sums in another order


def test_rates_start_at_one_value_with_shape_and_dtype_of_what_adapts():
    learner = meta_sgd(diagonal(jnp.bfloat16), squared_error, 0.5, adapt_only=Under("head"))
    params, _ = learner.init(KEY, None)
    assert params["rate"]["body"] is None
    assert params["rate"]["head"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(params["rate"]["head"].astype(float), [0.5, 0.5])


@pytest.mark.slow
def test_the_rate_that_is_best_for_one_step_diverges_over_ten_on_a_rare_steep_task():
    # Support losses are h / 2 (w - 1)^2 from w = 0, query losses (w - 1)^2; 99 tasks have h = 1 and one has h = 10.
    # After a step w = r h, so the best rate is E[h] / E[h^2] = 109 / 199. The steep task diverges beyond 2 / 10.
    best = 109 / 199
    model = Model(
        lambda key, inputs: ({"w": jnp.zeros(1)}, {}),
        lambda params, state, inputs, key, train: (inputs * params["w"], state),
    )

    def task(curvature):
        support = jnp.full((1, 1), np.sqrt(curvature / 2))
        return Episode(Batch(support, support, jnp.ones(1)), Batch(jnp.ones((1, 1)), jnp.ones((1, 1)), jnp.ones(1)))

    def loss(rate, curvature, steps):
        learner = meta_sgd(model, squared_error, 0.0, steps)
        return learner.meta_loss({"weights": {"w": jnp.zeros(1)}, "rate": {"w": rate}}, {}, task(curvature), KEY)[0]

    slope = jax.grad(lambda rate: (99 * loss(rate, 1.0, 1) + loss(rate, 10.0, 1)) / 100)
    np.testing.assert_allclose(slope(jnp.array([best])), 0, atol=1e-12)
    np.testing.assert_allclose(loss(jnp.array([best]), 1.0, 10), (1 - best) ** 20, rtol=1e-9)
    np.testing.assert_allclose(loss(jnp.array([best]), 10.0, 10), (1 - 10 * best) ** 20, rtol=1e-9)
    assert (1 - 10 * best) ** 20 > 1e12
