"""Sums over the alignments of labels to frames: the lattice of CTC, and its gradient from both of its ends at once."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxmeta.types import Array

NEVER = -1e5
"""The logarithm of an impossible probability: finite, so that derivatives are."""


@jax.custom_vjp
def negative_log_likelihood(scores: Array, skips: Array, real: Array, ends: Array) -> Array:
    """Minus the logarithm of the summed probability of all ways through a lattice, [N].

    A way begins in state 0 or 1, and goes on to the same state, the next, or the one after where that may be skipped.
    Its gradient is the posterior of the states, from one loop that runs from both ends at once, and not a loop for the
    sum and another back; derivatives of higher order are those of that loop.
    Args:
      scores: logarithm of each frame's probability of each state, [T, N, S].
      skips: whether a state can be reached from that two before it, [N, S] bool.
      real: which frames there are, [T, N, 1] bool.
      ends: logarithms, 0 for states in which a way may end and `NEVER` for others, [N, S].
    Source: Graves et al. 2006, "Connectionist temporal classification", eq. 6 to 15.
    """
    step, start = _ahead(skips), _start(ends)

    def through(before, inputs):
        score, real = inputs
        return jnp.where(real, step(before, score), before), None

    last, _ = lax.scan(through, start, (scores, real))
    return -_log_sum(last + ends)


def _forward(scores, skips, real, ends):
    ahead, back = _ahead(skips), _back(skips)

    def step(carry, inputs):
        before, after = carry
        score, later, real, later_real = inputs
        moved = jnp.where(real, ahead(before, score), before)
        return (moved, jnp.where(later_real, back(after, later), after)), (moved, after)

    inputs = (scores, scores[::-1], real, real[::-1])
    (last, _), (before, after) = lax.scan(step, (_start(ends), ends), inputs)
    total = _log_sum(last + ends)
    posterior = jnp.where(real, jnp.exp(before + after[::-1] - total[:, None]), 0)
    return -total, posterior


def _backward(posterior, cotangent):
    return -posterior * cotangent[:, None], None, None, None


negative_log_likelihood.defvjp(_forward, _backward)


def _start(ends):
    """Before the first frame, so that a way begins in state 0 or 1."""
    return jnp.full_like(ends, NEVER).at[:, 0].set(0)


def _ahead(skips):
    def step(before, score):
        """Ways to each state, from those to the states before a frame."""
        by_one = jnp.pad(before[:, :-1], ((0, 0), (1, 0)), constant_values=NEVER)
        by_two = jnp.pad(before[:, :-2], ((0, 0), (2, 0)), constant_values=NEVER)
        return score + _log_sum(jnp.stack([before, by_one, jnp.where(skips, by_two, NEVER)]), axis=0)

    return step


def _back(skips):
    def step(after, score):
        """Ways from each state to the end, from those after a frame."""
        through = score + after
        by_one = jnp.pad(through[:, 1:], ((0, 0), (0, 1)), constant_values=NEVER)
        by_two = jnp.pad(jnp.where(skips, through, NEVER)[:, 2:], ((0, 0), (0, 2)), constant_values=NEVER)
        return _log_sum(jnp.stack([through, by_one, by_two]), axis=0)

    return step


def _log_sum(values, axis=-1):
    # Not jax.nn.logsumexp: here all is finite, and its care for infinities costs as much as the sum.
    largest = lax.stop_gradient(values.max(axis, keepdims=True))
    return jnp.log(jnp.exp(values - largest).sum(axis)) + largest.squeeze(axis)
