"""The recurrent layer against loops in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.models.recurrent import Bidirectional
from tests.programs import compiled

KEY = jax.random.key(0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(values, weights, kernel, bias):
    hidden, outputs = np.zeros(len(bias)), []
    for value in values:
        r, z, n = np.split(value @ weights["kernel"] + weights["bias"], 3)
        hr, hz, hn = np.split(hidden @ kernel, 3)
        new = np.tanh(n + sigmoid(r + hr) * (hn + bias))
        hidden = (1 - sigmoid(z + hz)) * new + sigmoid(z + hz) * hidden
        outputs.append(hidden)
    return np.array(outputs)


def lstm(values, weights, kernel, bias):
    hidden, memory, outputs = np.zeros(len(bias)), np.zeros(len(bias)), []
    for value in values:
        i, f, g, o = np.split(value @ weights["kernel"] + weights["bias"] + hidden @ kernel, 4)
        memory = sigmoid(f + 1 + bias) * memory + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(memory)
        outputs.append(hidden)
    return np.array(outputs)


@pytest.mark.parametrize(("cell", "loop"), [("gru", gru), ("lstm", lstm)])
def test_each_direction_is_the_recurrence_over_the_rows_own_frames(cell, loop):
    with jax.enable_x64(True):
        values = np.random.default_rng(0).normal(size=(2, 7, 3))
        values[1, 4:] = np.nan
        layer = Bidirectional(5, cell)
        params = jax.device_get(compiled(layer.init)(KEY, values, np.array([7, 4])))["params"]
        rng = np.random.default_rng(1)
        params = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), params)
        outputs = np.asarray(compiled(layer.apply)({"params": params}, values, np.array([7, 4])))
        assert outputs.shape == (2, 7, 10) and not outputs[1, 4:].any()
        for row, length in ((0, 7), (1, 4)):
            one = values[row, :length]
            ahead = loop(one, params["ahead_inputs"], params["ahead_kernel"], params["ahead_bias"])
            back = loop(one[::-1], params["back_inputs"], params["back_kernel"], params["back_bias"])[::-1]
            np.testing.assert_allclose(outputs[row, :length], np.concatenate([ahead, back], 1), atol=1e-12)


def test_an_unknown_cell_is_refused():
    with pytest.raises(ValueError, match="cell must be 'gru' or 'lstm', got 'rnn'"):
        Bidirectional(5, "rnn").init(KEY, jnp.zeros((1, 2, 3)), jnp.array([2]))
