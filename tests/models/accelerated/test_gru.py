"""The recurrence of a GRU against a loop that JAX differentiates by itself, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.models.accelerated import gru as module
from jaxmeta.models.accelerated.gru import gru

pytestmark = pytest.mark.usefixtures("float64")
FRAMES, ROWS, UNITS = 5, 3, 4


def by_loop(gates, kernel, bias, real):
    hidden, states = jnp.zeros((2, ROWS, UNITS)), []
    for gate, there in zip(gates, real, strict=True):
        product = jnp.stack([hidden[d] @ kernel[d] for d in range(2)])
        reset, keep = (jax.nn.sigmoid((gate + product)[..., i * UNITS : (i + 1) * UNITS]) for i in range(2))
        new = jnp.tanh(gate[..., 2 * UNITS :] + reset * (product[..., 2 * UNITS :] + bias[:, None]))
        hidden = jnp.where(there, (1 - keep) * new + keep * hidden, 0)
        states.append(hidden)
    return jnp.stack(states)


def arguments():
    rng = np.random.default_rng(0)
    shapes = [(FRAMES, 2, ROWS, 3 * UNITS), (2, UNITS, 3 * UNITS), (2, UNITS)]
    real = np.arange(FRAMES)[:, None, None, None] < np.array([5, 3, 4])[None, None, :, None]
    return (*(rng.normal(size=shape) for shape in shapes), np.broadcast_to(real, (FRAMES, 2, ROWS, 1)))


def derivatives(function):
    """Value, gradient, and the gradient's derivative in reverse and in forward mode."""
    *given, real = arguments()
    directions = tuple(np.random.default_rng(1).normal(size=x.shape) for x in given)

    def gradient(*given):
        return jax.grad(lambda *given: jnp.sin(function(*given, real)).sum(), (0, 1, 2))(*given)

    def along(*given):
        return sum(jnp.vdot(g, d) for g, d in zip(gradient(*given), directions, strict=True))

    def everything(*given):
        second = jax.grad(along, (0, 1, 2))(*given), jax.jvp(gradient, given, directions)[1]
        return function(*given, real), gradient(*given), second

    return jax.tree.leaves(jax.jit(everything)(*given))


@pytest.mark.parametrize("unroll", [1, 4])
def test_values_and_both_second_derivatives_are_those_of_a_loop(unroll, monkeypatch):
    monkeypatch.setattr(module, "_unroll", lambda frames: unroll)
    for got, expected in zip(derivatives(gru), derivatives(by_loop), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


def test_recurrences_of_several_tasks_are_those_of_each():
    gates, kernel, bias, real = arguments()
    gates = np.stack([gates, -gates])
    together = jax.jit(jax.vmap(gru, (0, None, None, None)))(gates, kernel, bias, real)
    alone = jax.jit(gru)(gates[1], kernel, bias, real)
    np.testing.assert_allclose(together[1], alone, atol=1e-14)
