"""Gradient estimators: how the meta-gradient passes through the inner loop."""

from jaxmeta.estimators.check import check_estimator
from jaxmeta.estimators.choice import exact
from jaxmeta.estimators.descent import Estimator, first_order, forward_only, mixed_mode, truncated, unrolled
from jaxmeta.estimators.errors import Errors, estimator_errors
from jaxmeta.estimators.evolution import evolution
from jaxmeta.estimators.implicit import conjugate_gradients, implicit, neumann, solve_residual
from jaxmeta.estimators.symmetry import asymmetric

__all__ = [
    "Errors",
    "Estimator",
    "asymmetric",
    "check_estimator",
    "conjugate_gradients",
    "estimator_errors",
    "evolution",
    "exact",
    "first_order",
    "forward_only",
    "implicit",
    "mixed_mode",
    "neumann",
    "solve_residual",
    "truncated",
    "unrolled",
]
