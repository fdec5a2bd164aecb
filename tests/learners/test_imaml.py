"""iMAML in float64: the proximal solution in closed form, and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model
from jaxmeta.learners.imaml import imaml
from jaxmeta.losses import squared_error
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
STRENGTH = 0.5
LINEAR = Model(lambda key, inputs: (jnp.zeros(3), {}), lambda params, state, inputs, key, train: (inputs @ params, {}))


def test_adaptation_and_meta_gradient_are_those_of_ridge_regression_towards_the_params():
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(size=(6, 3)), rng.normal(size=6), np.array([1, 1, 1, 1, 1, 0.0])
    query_x, query_y = rng.normal(size=(4, 3)), rng.normal(size=4)
    params = rng.normal(size=3)
    learner = imaml(LINEAR, squared_error, optax.sgd(0.1), 500, STRENGTH)
    support, query = Batch(x, y, weight), Batch(query_x, query_y, np.ones(4))
    episode = jax.tree.map(jnp.asarray, Episode(support, query))

    # Mean over five examples of (x w - y)^2, plus strength / 2 |w - params|^2.
    hessian = 2 * x[:5].T @ x[:5] / 5
    minimum = np.linalg.solve(hessian + STRENGTH * np.eye(3), 2 * x[:5].T @ y[:5] / 5 + STRENGTH * params)
    fast, info = compiled(learner.adapt)(jnp.asarray(params), {}, episode.support, KEY)
    # 0.95 a step or less: 500 steps leave 1e-11.
    np.testing.assert_allclose(fast, minimum, atol=1e-10)
    assert info["residual"] < 1e-10

    gradient = compiled(jax.grad(lambda params: learner.meta_loss(params, {}, episode, KEY)[0]))(jnp.asarray(params))
    outer = 2 * query_x.T @ (query_x @ minimum - query_y) / 4
    # Lemma 1 of the paper; conjugate gradients in three dimensions end after three iterations.
    np.testing.assert_allclose(gradient, np.linalg.solve(np.eye(3) + hessian / STRENGTH, outer), atol=1e-8)


@pytest.mark.parametrize("strength", [0.0, -0.5])
def test_a_strength_that_does_not_pull_is_an_error(strength):
    with pytest.raises(ValueError, match=rf"strength must be above 0, got {strength}"):
        imaml(LINEAR, squared_error, optax.sgd(0.1), 5, strength)
