"""Evolution strategies around a learner: the estimate against the exact meta-gradient, and what it leaves as it is."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, MetaLearner, Model, first_order, maml
from jaxmeta.learners.evolved import evolved
from jaxmeta.losses import squared_error
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
RATE, STEPS, PAIRS = 0.1, 3, 4000


def init(key, inputs):
    return jnp.zeros(3), {"passes": jnp.zeros((), jnp.int32)}


def apply(params, state, inputs, key, train):
    return inputs @ params, {"passes": state["passes"] + 1}


LINEAR = Model(init, apply)


def problem():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 8, 3)), rng.normal(size=(2, 8))
    support, query = (Batch(jnp.asarray(a), jnp.asarray(b), jnp.ones(8)) for a, b in zip(x, y, strict=True))
    # One step contracts by this; three map w to its third power times w plus a constant.
    contraction = np.linalg.matrix_power(np.eye(3) - RATE * 2 * x[0].T @ x[0] / 8, STEPS)
    minimum = np.linalg.lstsq(x[0], y[0], rcond=None)[0]
    fast = minimum + contraction @ (0 - minimum)
    exact = contraction @ (2 * x[1].T @ (x[1] @ fast - y[1]) / 8)
    return Episode(support, query), exact, np.mean((x[1] @ fast - y[1]) ** 2)


def test_the_estimate_is_the_exact_meta_gradient_within_its_spread():
    episode, exact, loss = problem()
    params, state = init(KEY, None)
    learner = evolved(maml(LINEAR, squared_error, optax.sgd(RATE), STEPS, first_order()), 0.1, PAIRS)
    value_and_grad = compiled(jax.value_and_grad(learner.meta_loss, has_aux=True))
    (value, after), gradient = value_and_grad(params, state, episode, KEY)
    # Quadratic in params, so that antithetic differences are exact along each direction.
    spread = np.sqrt((np.sum(exact**2) + exact**2) / PAIRS)
    assert (np.abs(gradient - exact) < 5 * spread).all()
    np.testing.assert_allclose(value, loss, rtol=1e-12)
    assert after["passes"] == 1
    np.testing.assert_array_equal(gradient, value_and_grad(params, state, episode, KEY)[1])


def test_tasks_may_be_vmapped_and_weighted():
    episode, exact, _ = problem()
    params, state = init(KEY, None)
    learner = evolved(maml(LINEAR, squared_error, optax.sgd(RATE), STEPS, first_order()), 0.1, PAIRS)
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), episode)

    def loss(params, weight):
        keys = jax.random.split(KEY, 2)
        losses, _ = jax.vmap(learner.meta_loss, (None, None, 0, 0))(params, state, both, keys)
        return weight @ losses

    gradient = compiled(jax.grad(loss))(params, jnp.array([3.0, -1.0]))
    # Weights 3 and -1 of independent estimates: twice the gradient, with ten times the variance of one.
    spread = np.sqrt(10 * (np.sum(exact**2) + exact**2) / PAIRS)
    assert (np.abs(gradient - 2 * exact) < 5 * spread).all()


def test_a_model_of_steps_and_an_optimizer_of_signs_can_be_trained():
    """A hidden layer of thresholds has a derivative of zero; the smoothed loss can be descended in it all the same."""

    def thresholds(params, state, inputs, key, train):
        return jnp.sign(inputs @ params["in"]) @ params["out"], state

    def start(key, inputs):
        return {"in": jax.random.normal(key, (3, 8)), "out": jnp.zeros(8)}, {}

    episode, _, _ = problem()
    learner = evolved(
        maml(Model(start, thresholds), squared_error, optax.sign_sgd(0.02), 2, first_order()), sigma=0.2, pairs=32
    )
    optimizer = optax.adam(0.05)

    def update(carry, key):
        params, slots = carry
        (loss, _), gradient = jax.value_and_grad(learner.meta_loss, has_aux=True)(params, {}, episode, key)
        updates, slots = optimizer.update(gradient, slots)
        return (optax.apply_updates(params, updates), slots), loss

    params, _ = start(KEY, None)
    (trained, _), losses = compiled(lambda carry, keys: jax.lax.scan(update, carry, keys))(
        (params, optimizer.init(params)), jax.random.split(KEY, 60)
    )
    assert (trained["in"] != params["in"]).all()
    # From 1.0; the mean of eight targets, which a network can reach without hidden units, leaves 0.9.
    assert losses[-1] < 0.6 * losses[0]


def test_only_the_derivative_changes():
    learner = MetaLearner(init, "adapt", "predict", lambda params, state, episode, key: (params @ episode, state))
    wrapped = evolved(learner, 0.1, 2)
    assert wrapped[:3] == learner[:3]
    loss, state = wrapped.meta_loss(jnp.array([1.0, 2.0]), {"carried": 3}, jnp.array([3.0, 4.0]), KEY)
    assert loss == 11 and state == {"carried": 3}


@pytest.mark.parametrize(("sigma", "pairs"), [(0.0, 1), (0.1, 0)])
def test_wrong_noise_is_an_error(sigma, pairs):
    learner = maml(LINEAR, squared_error, optax.sgd(RATE), STEPS)
    with pytest.raises(ValueError, match=rf"evolved needs sigma > 0 and pairs >= 1, got {sigma} and {pairs}"):
        evolved(learner, sigma, pairs)
