"""How far a measured time is from growing in proportion, once the machine is full."""

from collections.abc import Sequence
from typing import NamedTuple


class Departure(NamedTuple):
    """How far time per unit departs from what a unit costs in the end."""

    full_from: float | None
    """Units from which on the machine is full; None: it is not full at the last point."""
    largest: float | None
    """Largest of |slope / last slope - 1| from there on, without unit."""
    slopes: int
    """How many slopes that is the largest of; the last one, which departs by 0, is among them."""


def departure(units: Sequence[float], seconds: Sequence[float]) -> Departure:
    """Compare the slopes between consecutive points with the last one.

    The machine counts as full from the first point after which no further unit costs less than half of what one costs
    in the end: before that, it has room for more at once.
    Args:
      units: tasks or steps, rising, two or more.
      seconds: the time at each.
    Raises:
      ValueError: fewer than two points, or not as many of the one as of the other.
    """
    if len(units) != len(seconds) or len(units) < 2:
        raise ValueError(f"departure needs two points or more, got {len(units)} units and {len(seconds)} seconds.")
    changes = zip(units[:-1], units[1:], seconds[:-1], seconds[1:], strict=True)
    slopes = [(after - before) / (more - less) for less, more, before, after in changes]
    last = slopes[-1]
    if last <= 0:
        return Departure(None, None, 0)
    below = [index for index, slope in enumerate(slopes) if slope < last / 2]
    first = below[-1] + 1 if below else 0
    return Departure(units[first], max(abs(slope / last - 1) for slope in slopes[first:]), len(slopes) - first)


def describe(found: Departure, what: str) -> str:
    """One line for a person."""
    if found.full_from is None or found.largest is None:
        return f"More {what} take no more time at the last point: the machine is not full, so measure more of them."
    return (
        f"From {found.full_from} {what} on, the time of one more is within {found.largest:.1%} of what it is at the "
        f"last point ({found.slopes} slopes)."
    )
