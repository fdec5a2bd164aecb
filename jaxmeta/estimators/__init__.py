"""Gradient estimators: how the meta-gradient passes through the inner loop."""

from jaxmeta.estimators.descent import Estimator, first_order, mixed_mode, truncated, unrolled

__all__ = ["Estimator", "first_order", "mixed_mode", "truncated", "unrolled"]
