"""What `fit` adds to the training loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxmeta import Batch, Episode, Ragged
from jaxmeta.losses import cross_entropy
from jaxmeta.models.linen import from_linen
from jaxmeta.models.perceptron import perceptron
from jaxmeta.training import fit as module
from jaxmeta.training import init_state
from jaxmeta.training.fit import fit, supervised


def sampler(step):
    inputs = Ragged(np.zeros((4, 2, 8, 3), np.float32), np.full((4, 2), 8, np.int32))
    batch = Batch(inputs, np.zeros((4, 2), np.int32), np.ones((4, 2), np.float32))
    return Episode(batch, batch)


class Pooled(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        return nn.Dense(3)(inputs.values.mean(1))


def train(tmp_path):
    learner = supervised(from_linen(Pooled()), cross_entropy)
    return fit(learner, sampler, 2, 0.1, tmp_path, augment=lambda key, episode: episode, features=3, seed=0, config={})


@pytest.mark.parametrize("fits", [2, 1])
def test_out_of_memory_halves_the_tasks_in_flight_once_and_says_so(tmp_path, monkeypatch, capsys, fits):
    tried = []

    def make_update(learner, optimizer, *, microbatch, mesh):
        tried.append(microbatch)
        if microbatch is None or microbatch > fits:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return lambda train, episodes: (train._replace(step=train.step + 1), {"loss": optax.tree.norm(train.params)})

    monkeypatch.setattr(module, "make_update", make_update)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    if fits == 2:
        assert int(train(tmp_path).step) == 2
    else:
        with pytest.raises(jax.errors.JaxRuntimeError, match="out of memory"):
            train(tmp_path)
    assert tried == [None, 2]
    assert "out of memory with 4 tasks in flight: going on with 2" in capsys.readouterr().err


def test_given_weights_are_where_training_starts_and_only_the_rest_is_made():
    learner, inputs = supervised(perceptron((2,)), cross_entropy), jnp.zeros((1, 3))
    params = jax.tree.map(jnp.ones_like, learner.init(jax.random.key(1), inputs)[0])
    train = init_state(learner, optax.adam(0.1), jax.random.key(0), inputs, params)
    assert train.params is params and not any(map(jnp.any, jax.tree.leaves(train.optimizer)))
    assert np.array_equal(
        jax.random.key_data(train.key), jax.random.key_data(jax.random.split(jax.random.key(0))[1])
    )  # fmt: skip
