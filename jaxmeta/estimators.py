"""Gradient estimators: how the meta-gradient passes through the inner loop.

An estimator is a value: `Inner -> solve`, where `solve(fast, params, state, support, key) -> (fast, info)` runs the
inner loop. All of them run the same loop and reach the same `fast`; they differ in the function that gives a step its
gradient, and so in what differentiating `solve` returns. `info["loss"]` [K] is the support loss before each step.
"""

from collections.abc import Callable

import jax
import optax

from jaxmeta.types import Inner, PyTree

Solve = Callable[..., tuple[PyTree, dict]]
Estimator = Callable[[Inner], Solve]


def unrolled() -> Estimator:
    """Exact: reverse mode through every step of the loop, second derivatives included.

    Memory grows with steps times the activations of the inner loss. Source: Finn et al. 2017 (arXiv 1703.03400).
    """
    return lambda inner: _descend(inner, [(_exact, inner.steps)])


def first_order() -> Estimator:
    """Treats each inner gradient as a constant: no second derivatives.

    Stops the gradient, not the step, so d fast / d rate survives where the inner optimizer's rates are learned.
    Source: FOMAML, Finn et al. 2017, section 5.2.
    """
    return lambda inner: _descend(inner, [(_stopped, inner.steps)])


def truncated(last: int) -> Estimator:
    """First order up to the last `last` steps, exact through those.

    Args:
      last: number of exact steps, in [0, steps]; 0 is `first_order()`, steps is `unrolled()`.
    Raises:
      ValueError: when the learner is built, if last is negative or above its steps.
    Source: truncated back-propagation, Shaban et al. 2019 (arXiv 1810.10667). Differs: gradients before the
      truncation are stopped but the steps are not, so the initialisation keeps its identity path.
    """

    def estimator(inner: Inner) -> Solve:
        if not 0 <= last <= inner.steps:
            raise ValueError(
                f"truncated(last={last}) needs 0 <= last <= steps, got steps={inner.steps}; use unrolled()."
            )
        return _descend(inner, [(_stopped, inner.steps - last), (_exact, last)])

    return estimator


def mixed_mode() -> Estimator:
    """Exact, with memory of about one copy of `fast` a step: forward over reverse instead of reverse over reverse.

    The backward pass of an inner gradient is one jvp of the gradient in all differentiable arguments, so no inner
    activation is stored. It uses the symmetry of second derivatives: for losses with a straight-through estimator,
    gradient reversal or fake quantisation inside, that symmetry does not hold and `unrolled()` must be used.
    Source: MixFlow-MG, Kemaev et al. 2025 (arXiv 2505.00793), eq. 8.
    """
    return lambda inner: _descend(inner, [(_forward_over_reverse, inner.steps)])


def _descend(inner: Inner, segments: list[tuple[Callable, int]]) -> Solve:
    """The inner loop: consecutive segments of steps, each with its own way to differentiate the gradient."""
    if inner.steps < 0:
        raise ValueError(f"steps must be 0 or more, got {inner.steps}.")

    def solve(fast, params, state, support, key):
        optimizer = inner.optimizer(params)
        keys = jax.random.split(key, inner.steps)
        carry, losses, start = (fast, optimizer.init(fast), state), [], 0
        for differentiable, steps in segments:
            gradient = differentiable(inner.loss)

            def step(carry, key, gradient=gradient):
                fast, slots, state = carry
                (loss, state), gradients = gradient(fast, params, state, support, key)
                updates, slots = optimizer.update(gradients, slots, fast)
                return (optax.apply_updates(fast, updates), slots, jax.lax.stop_gradient(state)), loss

            # A scan even for one step: XLA would merge an unrolled loop's recomputation and lose the memory saved.
            carry, loss = jax.lax.scan(step, carry, keys[start : start + steps])
            losses.append(loss)
            start += steps
        return carry[0], {"loss": jax.numpy.concatenate(losses)}

    return solve


def _exact(loss: Callable) -> Callable:
    return jax.value_and_grad(loss, has_aux=True)


def _stopped(loss: Callable) -> Callable:
    def gradient(*arguments):
        value, gradients = _exact(loss)(*arguments)
        # Stop the gradient, not the step: d fast / d rate must survive.
        return value, jax.lax.stop_gradient(gradients)

    return gradient


def _forward_over_reverse(loss: Callable) -> Callable:
    @jax.custom_vjp
    def gradient(fast, params, state, batch, key):
        return _exact(loss)(fast, params, state, batch, key)

    def forward(*arguments):
        return gradient(*arguments), arguments

    def backward(arguments, cotangents):
        fast, params, state, batch, key = arguments
        (loss_bar, _), direction = cotangents
        everything = jax.grad(loss, argnums=(0, 1, 3), has_aux=True, allow_int=True)
        first, second, _ = jax.jvp(
            lambda fast: everything(fast, params, state, batch, key), (fast,), (direction,), has_aux=True
        )
        fast_bar, params_bar, batch_bar = jax.tree.map(
            lambda d, h: h if h.dtype == jax.dtypes.float0 else h + loss_bar * d, first, second
        )
        return fast_bar, params_bar, None, batch_bar, None

    gradient.defvjp(forward, backward)
    return gradient
