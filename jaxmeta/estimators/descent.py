"""The inner loop, and the four estimators that differ in how a step of it is differentiated.

An estimator is a value: `Inner -> solve`, where `solve(fast, params, state, support, key) -> (fast, info)` runs the
inner loop. All of them run the same loop and reach the same `fast`; they differ in the function that gives a step its
gradient, and so in what differentiating `solve` returns. `info["loss"]` [K] is the inner objective before each step.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.custom_derivatives import SymbolicZero, custom_vjp_primal_tree_values

from jaxmeta import tree
from jaxmeta.estimators.symmetry import asymmetric, noting_asymmetry, relying_on_symmetry
from jaxmeta.keys import typed
from jaxmeta.optimizers import check_differentiable
from jaxmeta.types import Inner, PyTree

Solve = Callable[..., tuple[PyTree, dict]]
Estimator = Callable[[Inner], Solve]


def unrolled(remat: int | None = None) -> Estimator:
    """Exact: reverse mode through every step of the loop, second derivatives included.

    Memory grows with steps times the activations of the inner loss, unless they are recomputed.
    Args:
      remat: steps between two states that are stored, 1 or more; what lies between is computed again in the backward
        pass, for about one more forward pass. 1 keeps a copy of fast a step and the activations of one step; about
        the square root of the steps keeps fewest copies of both. None: stores everything.
    Raises:
      ValueError: remat below 1; at trace time, an inner optimizer whose update has no derivative.
    Source: Finn et al. 2017 (arXiv 1703.03400); recomputation: Chen et al. 2016 (arXiv 1604.06174).

    >>> learner = maml(model, cross_entropy, optax.sgd(0.1), steps=5, estimator=unrolled())
    """
    _check_remat(remat)
    return lambda inner: descend(inner, [(_exact, inner.steps)], remat)


def first_order() -> Estimator:
    """Treats each inner gradient as a constant: no second derivatives.

    Stops the gradient, not the step, so d fast / d rate survives where the inner optimizer's rates are learned.
    Source: FOMAML, Finn et al. 2017, section 5.2.

    >>> learner = maml(model, cross_entropy, optax.sgd(0.1), steps=5, estimator=first_order())
    """
    return lambda inner: descend(inner, [(_stopped, inner.steps)])


def truncated(last: int) -> Estimator:
    """First order up to the last `last` steps, exact through those.

    Args:
      last: number of exact steps, in [0, steps]; 0 is `first_order()`, steps is `unrolled()`.
    Raises:
      ValueError: when the learner is built, if last is negative or above its steps.
    Source: truncated back-propagation, Shaban et al. 2019 (arXiv 1810.10667). Differs: gradients before the
      truncation are stopped but the steps are not, so the initialisation keeps its identity path.

    >>> learner = maml(model, cross_entropy, optax.sgd(0.1), steps=5, estimator=truncated(last=2))
    """

    def estimator(inner: Inner) -> Solve:
        if not 0 <= last <= inner.steps:
            raise ValueError(
                f"truncated(last={last}) needs 0 <= last <= steps, got steps={inner.steps}; use unrolled()."
            )
        return descend(inner, [(_stopped, inner.steps - last), (_exact, last)])

    return estimator


def mixed_mode(remat: int | None = None) -> Estimator:
    """Exact, with memory of about one copy of `fast` a step: forward over reverse instead of reverse over reverse.

    The backward pass of an inner gradient is one jvp of the gradient in all differentiable arguments, so no inner
    activation is stored. It uses the symmetry of second derivatives, which losses with a custom derivative may not
    have, as gradient reversal or a quantiser with a straight-through one: those need `unrolled()`. A model that says so
    by `asymmetric` is refused, and `check_estimator` finds the others.
    Args:
      remat: as in `unrolled`; what is saved here are copies of fast. What remains are the activations of a single
        gradient, which the model can recompute: wrap its blocks in jax.checkpoint, or nn.remat in linen.
    Source: MixFlow-MG, Kemaev et al. 2025 (arXiv 2505.00793), eq. 8.

    >>> learner = maml(model, cross_entropy, optax.sgd(0.1), steps=5, estimator=mixed_mode())
    """
    _check_remat(remat)
    return lambda inner: descend(inner, [(_forward_over_reverse, inner.steps)], remat)


def forward_only() -> Estimator:
    """No meta-gradient: adaptation alone, for as many steps as are asked for, a traced number too.

    One compiled program then serves any number of steps, for use and evaluation. `info["loss"]` is that before the
    last step alone, a scalar. JAX refuses to differentiate it in reverse. Random layers draw other numbers than under
    the other estimators.
    """

    def estimator(inner: Inner) -> Solve:
        def solve(fast, params, state, support, key):
            optimizer, (objective, constants) = inner.optimizer(params), (_proximal(inner), (params, fast))
            step = _step(objective, optimizer, _exact, constants, support)

            @jax.jit  # Traced once, for the shape of the loss and for the loop.
            def body(state):
                index, carry, _ = state
                return index + 1, *step(carry, jax.random.fold_in(key, index))

            start = (jnp.zeros((), jnp.int32), (fast, optimizer.init(fast), state))
            loss = jax.eval_shape(body, (*start, None))[2]
            # Not fori_loop, which a known number of steps would make a loop that can be differentiated.
            _, carry, loss = jax.lax.while_loop(
                lambda state: state[0] < inner.steps, body, (*start, jnp.zeros(loss.shape, loss.dtype))
            )
            return carry[0], {"loss": loss}

        return solve

    return estimator


def descend(inner: Inner, segments: list[tuple[Callable, int]], remat: int | None = None) -> Solve:
    """The inner loop: consecutive segments of steps, each with its own way to differentiate the gradient."""
    if inner.steps < 0:
        raise ValueError(f"steps must be 0 or more, got {inner.steps}.")
    if inner.proximal < 0:
        raise ValueError(f"proximal must be 0 or more, got {inner.proximal}.")

    def solve(fast, params, state, support, key):
        optimizer = inner.optimizer(params)
        if any(steps and differentiable is not _stopped for differentiable, steps in segments):
            check_differentiable(optimizer, fast)
        keys = jax.random.split(typed(key), inner.steps)
        objective, constants = _proximal(inner), (params, fast)
        carry, losses, start = (fast, optimizer.init(fast), state), [], 0
        # A loop of no steps would be differentiated and compiled all the same.
        for differentiable, steps in [segment for segment in segments if segment[1]]:
            step = _step(objective, optimizer, differentiable, constants, support)
            carry, loss = _scan(step, carry, keys[start : start + steps], remat)
            losses.append(loss)
            start += steps
        return carry[0], {"loss": jnp.concatenate(losses) if losses else jnp.zeros(0)}

    return solve


def _step(
    objective: Callable, optimizer: optax.GradientTransformation, differentiable: Callable, constants: PyTree, support
) -> Callable:
    """One inner step: ((fast, slots, state), key) -> (the same after it, loss before it)."""
    gradient = differentiable(objective)

    def step(carry, key):
        fast, slots, state = carry
        (loss, state), gradients = gradient(fast, constants, state, support, key)
        # A label that is no class makes the loss NaN, but has no gradient of its own to show it by. NaN is added, for
        # the derivative of a choice would need to know in the backward pass what was chosen.
        unknown = jnp.where(jnp.isnan(loss), jnp.nan, 0.0)
        gradients = jax.tree.map(lambda g: g + unknown.astype(g.dtype), gradients)
        updates, slots = optimizer.update(gradients, slots, fast)
        return (optax.apply_updates(fast, updates), slots, jax.lax.stop_gradient(state)), loss

    return step


def _proximal(inner: Inner) -> Callable:
    """The inner loss and its pull to the start; its second argument is (params, start)."""

    def objective(fast, constants, state, batch, key):
        params, start = constants
        loss, state = inner.loss(fast, params, state, batch, key)
        if inner.proximal:
            loss += inner.proximal / 2 * tree.squared_distance(fast, start)
        return loss, state

    return objective


def _scan(step: Callable, carry: PyTree, keys: PyTree, remat: int | None) -> tuple[PyTree, jax.Array]:
    """Scan over steps, in blocks of `remat` whose inside is computed again in the backward pass."""
    if len(keys) == 1 and remat is None:
        # Within a loop, vmap would copy the weights that all tasks start from.
        carry, loss = step(carry, keys[0])
        return carry, loss[None]
    # Else a scan, even for few steps: XLA would merge an unrolled loop's recomputation and lose the memory saved.
    if remat is None:
        return jax.lax.scan(step, carry, keys)
    whole = len(keys) // remat * remat
    block = jax.checkpoint(lambda carry, keys: jax.lax.scan(step, carry, keys), prevent_cse=False)
    carry, losses = jax.lax.scan(block, carry, keys[:whole].reshape(-1, remat))
    carry, last = jax.lax.scan(jax.checkpoint(step, prevent_cse=False), carry, keys[whole:])
    return carry, jnp.concatenate([losses.reshape(-1), last])


def _check_remat(remat: int | None) -> None:
    if remat is not None and remat < 1:
        raise ValueError(f"remat must be 1 step or more, got {remat}; use None to store everything.")


def _exact(loss: Callable) -> Callable:
    return jax.value_and_grad(loss, has_aux=True)


def _stopped(loss: Callable) -> Callable:
    def gradient(*arguments):
        value, gradients = _exact(loss)(*arguments)
        # Stop the gradient, not the step: d fast / d rate must survive.
        return value, jax.lax.stop_gradient(gradients)

    return gradient


def _forward_over_reverse(loss: Callable) -> Callable:
    def gradient(*arguments):
        # What a loss closes over while it is traced, such as frozen weights that a compiled function is given, is no
        # constant of the backward pass, and has to be passed to it.
        with noting_asymmetry() as noted:
            converted, hidden = jax.closure_convert(lambda *each: loss(*each), *arguments)
        return _passing_on(converted, noted)(arguments, hidden)

    return gradient


def _passing_on(loss: Callable, asymmetries: list[str]) -> Callable:
    """The gradient of a loss (*arguments, *hidden), where hidden is what it closed over.

    Args:
      loss: traced already.
      asymmetries: what called `asymmetric` then.
    """

    @jax.custom_vjp
    def gradient(arguments, hidden):
        return _exact(loss)(*arguments, *hidden)

    def forward(*given):
        given = custom_vjp_primal_tree_values(given)
        return gradient(*given), given

    def backward(given, cotangents):
        (fast, constants, state, batch, key), hidden = given
        (loss_bar, _), direction = cotangents
        direction = jax.tree.map(_instantiated, direction)
        everything = jax.grad(
            lambda fast, constants, batch, hidden: loss(fast, constants, state, batch, key, *hidden),
            argnums=(0, 1, 2, 3), has_aux=True, allow_int=True,
        )  # fmt: skip
        with relying_on_symmetry("mixed_mode()"):
            for each in asymmetries:
                asymmetric(each)
            first, second, _ = jax.jvp(
                lambda fast: everything(fast, constants, batch, hidden), (fast,), (direction,), has_aux=True
            )
        if not isinstance(loss_bar, SymbolicZero):  # Else nobody reads the first gradient, and nothing computes it.
            second = jax.tree.map(
                lambda d, h: h if h.dtype == jax.dtypes.float0 else h + loss_bar.astype(d.dtype) * d, first, second
            )
        fast_bar, constants_bar, batch_bar, hidden_bar = second
        return (fast_bar, constants_bar, None, batch_bar, None), hidden_bar

    gradient.defvjp(forward, backward, symbolic_zeros=True)
    return gradient


def _instantiated(cotangent: Any) -> jax.Array:
    return jnp.zeros(cotangent.shape, cotangent.dtype) if isinstance(cotangent, SymbolicZero) else cotangent
