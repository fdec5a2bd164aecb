"""Outer optimizers that take more than gradients and params: they get the loss and the gradient, or are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, MetaLearner
from jaxmeta.training import init_state, make_update

EPISODES = Episode(*[Batch(np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)))] * 2)


def quadratic():
    """The meta-loss is half the squared norm of params, whatever the episode."""
    return MetaLearner(
        init=lambda key, inputs: ({"w": jnp.array([3.0, 4.0])}, {}),
        adapt=lambda params, state, support, key: (params, {}),
        predict=lambda params, state, fast, inputs, key, train: (inputs, state),
        meta_loss=lambda params, state, episode, key: (jnp.sum(params["w"] ** 2) / 2, state),
    )


def after_one_step(optimizer):
    train = init_state(quadratic(), optimizer, jax.random.key(0), np.zeros((1, 1)))
    return jax.jit(make_update(quadratic(), optimizer))(train, EPISODES)[0].params["w"]


def test_one_that_needs_the_loss_gets_it():
    # Polyak's step is loss / |gradient|^2 = 12.5 / 25, of the gradient (3, 4).
    np.testing.assert_allclose(after_one_step(optax.polyak_sgd(max_learning_rate=10.0)), [1.5, 2.0], atol=1e-5)


def test_one_within_a_chain_gets_it_too():
    chained = optax.chain(optax.clip_by_global_norm(100.0), optax.polyak_sgd(max_learning_rate=10.0))
    np.testing.assert_allclose(after_one_step(chained), [1.5, 2.0], atol=1e-5)


def test_one_that_is_given_loss_and_gradient_sees_those_of_the_mean_over_tasks():
    def update(updates, state, params=None, *, value, grad):
        return jax.tree.map(lambda leaf: -value * leaf, grad), state

    optimizer = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    np.testing.assert_allclose(after_one_step(optimizer), [3 - 12.5 * 3, 4 - 12.5 * 4])


@pytest.mark.parametrize(
    "plain", [optax.sgd(0.1), optax.with_extra_args_support(optax.sgd(0.1)), optax.chain(optax.sgd(0.1))]
)
def test_others_are_as_they_were(plain):
    np.testing.assert_allclose(after_one_step(plain), [2.7, 3.6], atol=1e-6)


def test_one_that_needs_the_function_itself_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"the outer optimizer needs more than .*value_fn.*linesearch=None"):
        after_one_step(optax.lbfgs())
    assert np.isfinite(after_one_step(optax.lbfgs(0.1, linesearch=None))).all()
