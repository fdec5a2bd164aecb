"""Chunks of rows: the same outputs and gradients, in memory that does not grow with the rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.models.acoustic import Size, recogniser
from jaxmeta.models.chunks import in_chunks
from jaxmeta.types import Model, Ragged
from tests.programs import compiled

KEY = jax.random.key(0)
MODEL = recogniser(5, "dnn", Size(8, 1))


def speech(rows, frames=24):
    lengths = jnp.arange(rows) % frames + 1
    return Ragged(jax.random.normal(jax.random.key(1), (rows, frames, 6)), lengths)


def gradient(model):
    def loss(params, inputs):
        outputs, _ = model.apply(params, {}, inputs, KEY, False)
        return jnp.square(outputs.values).sum(), outputs

    return jax.grad(loss, has_aux=True)


@pytest.mark.parametrize("rows", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_outputs_and_gradients_are_those_of_all_rows_at_once(rows):
    with jax.enable_x64(True):
        inputs = jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if leaf.ndim == 3 else leaf, speech(8))
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), compiled(MODEL.init)(KEY, inputs)[0])
        whole, parts = (compiled(gradient(each))(params, inputs) for each in (MODEL, in_chunks(MODEL, rows)))
        for expected, actual in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
            # Sums over rows are taken in another order.
            np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def test_few_rows_are_not_divided():
    inputs = speech(3)
    program = jax.jit(in_chunks(MODEL, 3).apply, static_argnums=4)
    params, _ = jax.eval_shape(MODEL.init, KEY, inputs)
    assert "while" not in program.lower(params, {}, inputs, KEY, False).as_text()


@pytest.mark.slow
def test_the_memory_of_a_gradient_does_not_grow_with_the_rows():
    model = recogniser(5, "gru", Size(32, 2))

    def temporary(rows):
        params, _ = jax.eval_shape(model.init, KEY, speech(4, 400))
        program = jax.jit(gradient(in_chunks(model, 8))).lower(params, speech(rows, 400)).compile()
        return program.memory_analysis().temp_size_in_bytes

    inputs_of_more_rows = 32 * 400 * 6 * 4
    assert temporary(64) - temporary(32) < 4 * inputs_of_more_rows < 0.2 * temporary(32)


def test_what_cannot_be_divided_is_said():
    with pytest.raises(ValueError, match=r"in_chunks\(rows=0\) needs 1 row or more"):
        in_chunks(MODEL, 0)
    counting = Model(None, lambda params, state, inputs, key, train: (inputs, state))
    with pytest.raises(ValueError, match="models without state"):
        in_chunks(counting, 2).apply({}, {"count": jnp.zeros(())}, jnp.zeros((3, 2)), KEY, True)
