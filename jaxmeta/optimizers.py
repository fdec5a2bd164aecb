"""Inner optimizers that can be differentiated twice, and the check that one can be differentiated at all.

Any optax transformation is an inner optimizer; schedules, momentum, optax.masked and optax.chain are safe as they are.
Some have a square root in them whose derivative is infinite where a gradient is exactly 0, as that of a dead unit is:
one such leaf makes the whole meta-gradient NaN. The forms here are finite there.

Finite is not enough. Where gradients are small, a step of rate * g / sqrt(v + eps_root) has a slope of up to
rate / sqrt(eps_root) in g, and the meta-gradient is a product of K factors 1 - slope * curvature. With an eps_root of
1e-8 the slope is 1e4 times the rate: at a rate and a curvature of 0.1, ten steps multiply the meta-gradient by up to
1e20. With the 1e-3 used here it is 32 times the rate, and each of those factors lies between 0.68 and 1. The price:
entries of the gradient well below sqrt(1e-3) = 0.03 are no longer scaled up to full steps.
"""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxmeta.types import PyTree

EPS_ROOT = 1e-3
"""Added to the mean squared gradient under the root; see above."""


def adam(
    rate: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, eps_root: float = EPS_ROOT, **options: Any
) -> optax.GradientTransformation:
    """optax.adam that can be differentiated where a gradient is 0.

    Args:
      rate: a number, traced or not, or a schedule.
      eps_root: above 0.
      b1, b2, eps, options: as in optax.adam.
    """
    return optax.adam(rate, b1, b2, eps, _positive(eps_root), **options)


def adamw(
    rate: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, eps_root: float = EPS_ROOT, **options: Any
) -> optax.GradientTransformation:
    """optax.adamw that can be differentiated where a gradient is 0.

    Args:
      rate: a number, traced or not, or a schedule.
      eps_root: above 0.
      b1, b2, eps, options: as in optax.adamw; options has weight_decay and mask.
    """
    return optax.adamw(rate, b1, b2, eps, _positive(eps_root), **options)


def rmsprop(rate: Any, decay: float = 0.9, eps_root: float = EPS_ROOT, **options: Any) -> optax.GradientTransformation:
    """optax.rmsprop with the larger term under the root that its derivative needs.

    Args:
      rate: a number, traced or not, or a schedule.
      eps_root: above 0.
      decay, options: as in optax.rmsprop, except eps and eps_in_sqrt.
    """
    return optax.rmsprop(rate, decay, _positive(eps_root), eps_in_sqrt=True, **options)


def descent(rates: PyTree) -> optax.GradientTransformation:
    """Gradient descent with a rate for each leaf or each weight, where optax.sgd has one for all.

    Args:
      rates: tree like what is moved; each leaf broadcasts to its weights. They may be learned.
    """
    return optax.stateless(lambda gradients, _: jax.tree.map(lambda r, g: -r * g, rates, gradients))


def clip_by_global_norm(max_norm: Any) -> optax.GradientTransformation:
    """Scales gradients down to a largest norm, as optax.clip_by_global_norm, and can be differentiated at 0.

    Args:
      max_norm: norm over all leaves, above 0; a number, traced or not.
    Raises:
      ValueError: max_norm of 0 or less, where it is known.
    """
    if isinstance(max_norm, int | float) and not max_norm > 0:
        raise ValueError(f"max_norm must be above 0, got {max_norm}; to stop leaves use optax.set_to_zero().")

    def update(updates, state, params=None):
        squares = [jnp.sum(jnp.square(leaf.astype(_wide(leaf)))) for leaf in jax.tree.leaves(updates)]
        square = sum(squares, jnp.zeros(()))
        outside = square > jnp.square(max_norm)
        # Two wheres: the root of the branch not taken has a derivative too, and 0 * infinity is NaN.
        scale = jnp.where(outside, max_norm / jnp.sqrt(jnp.where(outside, square, 1)), 1)
        return jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def check_differentiable(optimizer: optax.GradientTransformation, fast: PyTree) -> None:
    """Raise unless the optimizer's update has a reverse-mode derivative in the gradient; computes nothing.

    Args:
      optimizer: may close over tracers, as learned rates.
      fast: what it moves; only shapes and dtypes are used. Leaves may be None.
    Raises:
      ValueError: the update needs more than gradients, slots and params; or reverse mode cannot pass it; or no leaf of
        it depends on the gradient through derivatives that are not zero everywhere.
    """
    if not jax.tree.leaves(fast):
        return

    def update(gradients, fast):
        return optimizer.update(gradients, optimizer.init(fast), fast)[0]

    def pull_back(scale, gradients, fast):
        updates, pull = jax.vjp(lambda gradients: update(gradients, fast), gradients)
        return pull(jax.tree.map(lambda leaf: jnp.full_like(leaf, scale), updates))

    try:
        jax.eval_shape(update, fast, fast)
    except TypeError as error:
        raise ValueError(
            f"the inner optimizer needs more than optimizer.update(gradients, slots, params) gives it ({error}); use "
            "another optimizer (optax.lbfgs with linesearch=None needs no more)."
        ) from error
    remedy = "use another optimizer, or an estimator that does not differentiate it: first_order() or implicit(...)."
    try:
        jaxpr = jax.make_jaxpr(pull_back)(1.0, fast, fast).jaxpr
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(f"the inner optimizer's update has no reverse-mode derivative ({error}); {remedy}") from error
    if not any(depends_on(jaxpr, [0])):
        raise ValueError(
            "the inner optimizer's update has a derivative of zero in every gradient, as a sign has, so that an exact "
            f"meta-gradient would silently be a first-order one; {remedy}"
        )


def depends_on(jaxpr: Any, arguments: Iterable[int]) -> list[bool]:
    """Which outputs of a jaxpr can depend on the arguments at the given positions.

    May say yes too often, never no: what goes into an operation counts for everything that comes out of it.
    """
    # By identity, because literals cannot be hashed.
    reached = {id(jaxpr.invars[index]) for index in arguments}
    for equation in jaxpr.eqns:
        if any(id(variable) in reached for variable in equation.invars):
            reached.update(map(id, equation.outvars))
    return [id(variable) in reached for variable in jaxpr.outvars]


def _positive(eps_root: float) -> float:
    if not eps_root > 0:
        raise ValueError(f"eps_root must be above 0, got {eps_root}: at 0 the root has no derivative; use optax.")
    return eps_root


def _wide(leaf: jax.Array):
    return jnp.promote_types(leaf.dtype, jnp.float32)
