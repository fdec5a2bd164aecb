"""Choosing the rate and the number of inner steps on validation speakers, from the same grid for every method."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jaxmeta.evaluation.adaptation import Build
from jaxmeta.types import PyTree


class ChosenMethod(NamedTuple):
    """A way to adapt, what it starts from, and the rate and steps that were best on validation speakers."""

    name: str
    build: Build
    params: PyTree
    rate: float
    steps: int
    error: float = 0.0
    """Error rate on validation speakers, in percent."""
    labels: bool = True
    """Whether it needs transcripts of what it adapts to."""


def choose(
    name: str,
    build: Build,
    params: PyTree,
    error: Callable[[float, int], float],
    rates: Sequence[float],
    steps: Sequence[int],
    *,
    first_steps: int | None = None,
    labels: bool = True,
) -> ChosenMethod:
    """Try rates and numbers of steps on validation speakers, and take the best; of equals, the first.

    Args:
      name, build, params, labels: as in `ChosenMethod`.
      error: (rate, steps) -> error rate in percent.
      rates, steps: to try.
      first_steps: with so many steps the rate is chosen, and then the number of steps at that rate; None: every number
        of steps is tried at every rate.
    """

    def best(pairs: Iterable[tuple[float, int]]) -> ChosenMethod:
        tried = (ChosenMethod(name, build, params, rate, count, error(rate, count), labels) for rate, count in pairs)
        return min(tried, key=lambda method: method.error)

    if first_steps is not None:
        rates = [best((rate, first_steps) for rate in rates).rate]
    chosen = best((rate, count) for rate in rates for count in steps)
    print(
        f"{name}: rate {chosen.rate:g}, {chosen.steps} steps, {chosen.error:.1f} % on validation speakers",
        file=sys.stderr,
    )
    return chosen
