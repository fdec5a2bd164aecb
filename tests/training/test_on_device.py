"""The loop on a device is the update again and again."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmeta import maml
from jaxmeta.data.sampling.sinusoids import sinusoid_tasks
from jaxmeta.losses import squared_error
from jaxmeta.models.perceptron import perceptron
from jaxmeta.training import init_state, make_update
from jaxmeta.training.on_device import make_update_loop


def test_the_compiled_loop_is_the_update_again_and_again_whatever_its_chunks():
    learner, optimizer = maml(perceptron(), squared_error, optax.sgd(0.01), 1), optax.adam(1e-3)
    update, key = make_update(learner, optimizer), jax.random.key(1)
    update_loop = make_update_loop(update, lambda key: sinusoid_tasks(key, 3, 5, 5))
    train = init_state(learner, optimizer, jax.random.key(3), jnp.zeros((10, 1)))
    expected, losses, update = train, [], jax.jit(update)
    for step in range(7):
        expected, metrics = update(expected, sinusoid_tasks(jax.random.fold_in(key, step), 3, 5, 5))
        losses.append(float(metrics["loss"]))
    whole, loss = update_loop(train, key, 7)
    halves, _ = update_loop(update_loop(train, key, 3)[0], key, 4)
    assert int(whole.step) == 7
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-5)
    for got, other, want in zip(*map(jax.tree.leaves, (whole.params, halves.params, expected.params)), strict=True):
        assert np.array_equal(got, other)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)  # float32, fused in another way
