"""A figure with its interval."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A figure of the whole set, and the bounds between which resamples of its speakers put it."""

    value: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """The columns `name`, `name_low` and `name_high` of a row of results."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def interval_text(row: Mapping[str, Any], name: str, unit: str = "", spec: str = ".1f") -> str | None:
    """Columns of a row, as `Interval.columns` makes them, as "value (low to high)"; None where there are none.

    >>> interval_text(Interval(12.34, 10.0, 14.0).columns("cer"), "cer", " %")
    '12.3 % (10.0 to 14.0)'
    """
    if name not in row:
        return None
    value, low, high = (format(row[key], spec) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value}{unit} ({low} to {high})"


def percentile_interval(value: float, resampled: np.ndarray, confidence: float = 0.95) -> Interval:
    """The figure with the percentiles of its resamples [R] that leave `confidence` of them between them.

    Raises:
      ValueError: a confidence outside (0, 1).

    >>> percentile_interval(5.0, np.arange(101.0), confidence=0.5)
    Interval(value=5.0, low=25.0, high=75.0)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} is out of range; give a coverage in (0, 1), such as 0.95.")
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))
