"""The newest column learns, and frozen ones stay as they are."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta import Model, Ragged
from jaxmeta.learners.newest_column import freeze, newest_column, next_column, thaw
from jaxmeta.learners.progressive import column_outputs
from jaxmeta.losses import cross_entropy


def dense(size: int) -> Model:
    """Frames times a matrix, and a state that counts the passes in training."""

    def init(key, inputs):
        return jax.random.normal(key, (inputs.values.shape[-1], size)), jnp.zeros(())

    def apply(params, state, inputs, key, train):
        return inputs._replace(values=jnp.tanh(inputs.values @ params)), state + train

    return Model(init, apply)


def test_a_grown_column_learns_and_leaves_the_older_one_bit_for_bit_as_it_was():
    layers = [dense(6), dense(5), dense(4)]
    speech = Ragged(jax.random.normal(jax.random.key(2), (2, 8, 3)), jnp.array([8, 6]))
    first = freeze(*next_column(layers, [], speech, jax.random.key(0)))
    start, state = next_column(layers, [first], speech, jax.random.key(1))
    assert len(start["adapters"]) == 2 and not first["adapters"]
    learner = newest_column(layers, [first], start, state, cross_entropy)
    params, carried = learner.init(None, None)
    assert params is start and thaw(freeze(start, state)) == (start, state)

    @jax.jit
    def outputs_of(columns):
        return column_outputs(layers, {"columns": columns}, len(columns) - 1, speech, jax.random.key(0)).values

    before = outputs_of([first])

    @jax.jit
    def slope(params):
        def loss(params):
            outputs, after = learner.predict(params, carried, params, speech, jax.random.key(0), True)
            return jnp.square(outputs.values - 1).sum(), after

        return jax.grad(loss, has_aux=True)(params)

    gradient, after = slope(params)
    for leaf in jax.tree.leaves(gradient):
        assert np.abs(leaf).max() > 0
    for old, new in zip(jax.tree.leaves(first), jax.tree.leaves(after["columns"][0]), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [float(count) for count in after["new"]] == [1, 1, 1]
    moved = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
    columns = [after["columns"][0], freeze(moved, after["new"])]
    np.testing.assert_array_equal(outputs_of(columns[:1]), before)
