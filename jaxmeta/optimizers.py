"""Inner optimizers that can be differentiated twice, and the check that one can be differentiated at all.

Any optax transformation is an inner optimizer. Some have a square root in them whose derivative is infinite where a
gradient is exactly 0, as that of a dead unit is: one such leaf makes the whole meta-gradient NaN. The forms here are
finite there.
"""

import optax

from jaxmeta.types import PyTree


def check_differentiable(optimizer: optax.GradientTransformation, fast: PyTree) -> None:
    """Raise unless the optimizer's update has a reverse-mode derivative in the gradient; computes nothing."""
