"""Figures of merit: per-example metrics (outputs, targets) -> [N], intervals over episodes, and detection errors."""

from jaxmeta.metrics.classification import accuracy, mean_interval
from jaxmeta.metrics.detection import (
    Curve,
    Trials,
    bootstrap_speakers,
    detection_curve,
    equal_error_rate,
    minimum_cost,
    rates_at,
)
from jaxmeta.metrics.intervals import Interval, interval_text, percentile_interval

__all__ = [
    "Curve", "Interval", "Trials", "accuracy", "bootstrap_speakers", "detection_curve", "equal_error_rate",
    "interval_text", "mean_interval", "minimum_cost", "percentile_interval", "rates_at",
]  # fmt: skip
