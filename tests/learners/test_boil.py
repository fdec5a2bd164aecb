"""BOIL: which leaves adapt, and which are only meta-learned."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model
from jaxmeta.learners.boil import boil
from jaxmeta.losses import squared_error
from jaxmeta.training import init_state, make_update
from tests.programs import compiled, jitted

KEY = jax.random.key(0)
INPUTS = np.array([[0.1, 1.0], [-0.7, 0.3]], np.float32)
EPISODE = Episode(*[Batch(INPUTS, np.array(y, np.float32), np.ones(2, np.float32)) for y in ([1, 2], [3, -1])])


def network():
    """Inputs of two features, two tanh units, one output."""

    def init(key, inputs):
        body, head = jnp.array([[0.3, -0.2], [0.9, 0.4]]), jnp.array([0.7, -1.1])
        return {"body": {"kernel": body}, "head": {"kernel": head}}, {}

    def apply(params, state, inputs, key, train):
        return jnp.tanh(inputs @ params["body"]["kernel"]) @ params["head"]["kernel"], state

    return Model(init, apply)


def test_the_head_keeps_every_bit_and_the_body_moves():
    learner = boil(network(), squared_error, optax.sgd(0.1), 2)
    params, state = learner.init(KEY, INPUTS)
    fast, _ = compiled(learner.adapt)(params, state, EPISODE.support, KEY)
    assert fast["head"] == {"kernel": None}
    assert np.all(fast["body"]["kernel"] != params["body"]["kernel"])
    # What predicts is the adapted body under the head as it is in params.
    outputs, _ = compiled(learner.predict, static_argnums=5)(params, state, fast, INPUTS, KEY, False)
    joined = {"body": fast["body"], "head": params["head"]}
    np.testing.assert_array_equal(outputs, jitted(network()).apply(joined, state, INPUTS, KEY, False)[0])


def test_an_update_meta_learns_the_head_too():
    learner, outer = boil(network(), squared_error, optax.sgd(0.1), 1), optax.sgd(0.1)
    train = init_state(learner, outer, KEY, INPUTS)
    after, _ = compiled(make_update(learner, outer))(train, jax.tree.map(lambda leaf: leaf[None], EPISODE))
    moved = jax.tree.map(lambda new, old: bool(np.all(new != old)), after.params, train.params)
    assert moved == {"body": {"kernel": True}, "head": {"kernel": True}}
    assert jax.tree.structure(after) == jax.tree.structure(train)


@pytest.mark.parametrize("head", ["haed", "kernel"])
def test_a_head_that_matches_no_leaf_or_every_leaf_names_the_paths(head):
    learner = boil(network(), squared_error, optax.sgd(0.1), 1, head=head)
    params, state = learner.init(KEY, INPUTS)
    with pytest.raises(ValueError, match=rf"name='{head}'.*body/kernel.*head/kernel"):
        learner.adapt(params, state, EPISODE.support, KEY)
