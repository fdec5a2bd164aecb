"""The exact estimator that is the cheaper one for a network, chosen by its size."""

import sys

import jax

from jaxmeta.estimators.descent import Estimator, Solve, mixed_mode, unrolled
from jaxmeta.types import Inner

SMALL = 10_000
"""Weights of a network up to which `unrolled()` is chosen. On a CPU it takes 0.98 of the time of `mixed_mode()` with
1,761 weights. With those of the word network it takes 1.02 of it, and 2.7 times the memory (benchmarks/TRIED.md)."""
_said: set[str] = set()


def exact(small: int = SMALL) -> Estimator:
    """`unrolled()` for a small network, else `mixed_mode()`; says which on standard error, once a process.

    Args:
      small: the most weights of a small network, 0 or more.
    Raises: as the estimator that is chosen.

    >>> learner = maml(model, cross_entropy, optax.sgd(0.1), steps=5, estimator=exact())
    """
    if small < 0:
        raise ValueError(f"exact(small={small}) must be 0 or more weights.")

    def estimator(inner: Inner) -> Solve:
        solves = {"unrolled()": unrolled()(inner), "mixed_mode()": mixed_mode()(inner)}

        def solve(fast, params, state, support, key):
            weights = sum(leaf.size for leaf in jax.tree.leaves(params))
            chosen, reason = ("unrolled()", "at most") if weights <= small else ("mixed_mode()", "more than")
            _say(f"meta-gradient by {chosen}, for {weights:,} weights are {reason} {small:,}; `estimator` overrides it")
            return solves[chosen](fast, params, state, support, key)

        return solve

    return estimator


def _say(line: str) -> None:
    if line not in _said:
        _said.add(line)
        print(line, file=sys.stderr, flush=True)
