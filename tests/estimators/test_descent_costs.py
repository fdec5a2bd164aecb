"""What mixed mode does not compute, and does not hold."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

from jaxmeta import Batch, Episode, Model, maml, mixed_mode
from jaxmeta.losses import squared_error
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.slow
def test_mixed_mode_computes_no_second_gradient_of_a_step_whose_loss_nobody_reads():
    """A layer [64, 64] of 256 examples: the gradient of its weights is a product of inputs and cotangents."""
    inputs = jax.random.normal(jax.random.key(1), (256, 64))
    model = Model(None, lambda params, state, inputs, *_: (jnp.tanh(inputs @ params), state))
    learner, batch = maml(model, squared_error, optax.sgd(0.1), 3, mixed_mode()), Batch(inputs, inputs, jnp.ones(256))

    def operations(read):
        def loss(params):
            fast, info = learner.adapt(params, {}, batch, jax.random.key(0))
            return jnp.vdot(fast, fast) + (info["loss"].sum() if read else 0)

        return compiled(jax.grad(loss)).lower(jnp.eye(64)).compile().cost_analysis()["flops"]

    assert operations(read=True) - operations(read=False) >= 2 * 256 * 64 * 64


def test_blocks_that_are_computed_again_lower_the_memory_of_mixed_mode_and_change_nothing():
    """A residual network of 16 blocks, each with a hidden layer four times as wide as what passes between blocks."""
    width, blocks, steps = 16, 16, 4

    def block(hidden, weights):
        return hidden + jnp.tanh(hidden @ weights["up"]) @ weights["down"], None

    def model(wrap):
        def apply(params, state, inputs, key, train):
            return jax.lax.scan(wrap(block), inputs, params)[0], state

        return Model(None, apply)

    keys = jax.random.split(jax.random.key(0), 3)
    params = {
        "up": jax.random.normal(keys[0], (blocks, width, 4 * width)) / width**0.5,
        "down": jax.random.normal(keys[1], (blocks, 4 * width, width)) / (8 * width) ** 0.5,
    }
    batch = Batch(jax.random.normal(keys[2], (256, width)), jnp.ones((256, width)), jnp.ones(256))
    gradients, memory = [], []
    for wrap in (lambda f: f, jax.checkpoint):
        learner = maml(model(wrap), squared_error, optax.sgd(0.1), steps, mixed_mode())
        gradient = jax.grad(lambda p, learner=learner: learner.meta_loss(p, {}, Episode(batch, batch), keys[0])[0])
        program = jax.jit(gradient).lower(params).compile()
        gradients.append(program(params))
        memory.append(program.memory_analysis().temp_size_in_bytes)
    chex.assert_trees_all_close(*gradients, rtol=1e-9, atol=1e-12)
    assert memory[1] < 0.6 * memory[0], memory
