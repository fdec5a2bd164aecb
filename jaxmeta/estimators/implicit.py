"""The implicit estimator: the meta-gradient of the solution of the inner problem, whatever path led to it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxmeta import tree
from jaxmeta.estimators.descent import Estimator, Solve, first_order
from jaxmeta.estimators.symmetry import relying_on_symmetry
from jaxmeta.types import Array, Inner, PyTree

Matvec = Callable[[PyTree], PyTree]
Solver = Callable[[Matvec, PyTree], PyTree]


def implicit(solver: Solver) -> Estimator:
    """Differentiates the solution of the inner problem; nothing is stored or differentiated along the steps.

    The optimizer may be any, differentiable or not, and memory does not grow with the steps. The gradient is that of
    the minimum, so it is right only where adaptation has converged: watch `info["residual"]`, the norm of the gradient
    of the inner objective (loss and proximal term) at the fast that is returned. It is zero with respect to whatever
    does not move the minimum, as the rates of the optimizer, and ignores the cotangents of info.
    Args:
      solver: (matvec, v) -> u with matvec(u) = v, on trees like fast: `conjugate_gradients()` or `neumann(...)`.
    Raises:
      ValueError: when the learner is built, unless its inner problem has proximal > 0.
    Source: Rajeswaran et al. 2019 (arXiv 1909.04630), lemma 1 and algorithm 2. Differs: the loss may depend on params
      that do not adapt, and on a differentiable batch, which get their share by the same theorem.

    >>> solve = implicit(neumann(5, rate=0.1))
    >>> learner = imaml(model, cross_entropy, optax.sgd(0.1), steps=5, strength=2.0, estimator=solve)
    """

    def estimator(inner: Inner) -> Solve:
        if inner.proximal <= 0:
            raise ValueError(
                f"implicit() needs Inner(proximal > 0), got {inner.proximal}: without the pull to the start the "
                "solution does not depend on it; use imaml(strength=...) or another estimator."
            )
        return _differentiate_solution(inner, solver)

    return estimator


def conjugate_gradients(iterations: int = 20, tolerance: float = 1e-6, warm: bool = True) -> Solver:
    """Solves matvec(u) = v by conjugate gradients, in float32 or wider whatever the dtypes of v.

    The curvature I + H / proximal must be positive definite, which it is near a minimum of the inner objective.
    Args:
      iterations: most products with the curvature, 1 or more, each about two gradients of the inner loss.
      tolerance: stops when `solve_residual` is below; 0 or more.
      warm: start from v, the solution where the loss has no curvature; else from zero.
    Raises:
      ValueError: iterations below 1, or tolerance below 0.
    Source: Hestenes and Stiefel 1952, as jax.scipy.sparse.linalg.cg.
    """
    if iterations < 1 or tolerance < 0:
        raise ValueError(
            f"conjugate_gradients needs iterations >= 1 and tolerance >= 0, got {iterations} and {tolerance}."
        )

    def solver(matvec: Matvec, v: PyTree) -> PyTree:
        from jax.scipy.sparse.linalg import cg  # Here, so that importing jaxmeta stays as quick as importing jax.

        # Of dtypes, not arrays: a scalar that came from Python would count as less than its float64.
        dtype = jnp.result_type(jnp.float32, *(leaf.dtype for leaf in jax.tree.leaves(v)))

        def widen(u):
            return jax.tree.map(lambda leaf: leaf.astype(dtype), u)

        def narrow(u):
            return jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), u, v)

        u, _ = cg(
            lambda u: widen(matvec(narrow(u))), widen(v), widen(v) if warm else None, tol=tolerance, maxiter=iterations
        )
        return narrow(u)

    return solver


def neumann(terms: int, rate: float) -> Solver:
    """Solves matvec(u) = v by the first terms of a series, u = rate * sum over j < terms of (I - rate matvec)^j v.

    Args:
      terms: 1 or more; 1 needs no curvature and is v times the rate.
      rate: above 0, and below 2 / (largest eigenvalue of I + H / proximal), else the series diverges.
    Raises:
      ValueError: terms below 1, or a rate that is not above 0.
    Source: Lorraine et al. 2020 (arXiv 1911.02590), algorithm 3.
    """
    if terms < 1 or not rate > 0:
        raise ValueError(f"neumann needs terms >= 1 and rate > 0, got {terms} and {rate}.")

    def solver(matvec: Matvec, v: PyTree) -> PyTree:
        # Adding rate times the residual adds one term of the series.
        def add(u, _):
            return jax.tree.map(lambda u, v, a: u + rate * (v - a), u, v, matvec(u)), None

        u, _ = jax.lax.scan(add, jax.tree.map(lambda leaf: rate * leaf, v), length=terms - 1)
        return u

    return solver


def solve_residual(matvec: Matvec, u: PyTree, v: PyTree) -> Array:
    """How well u solves matvec(u) = v: the norm of the difference over that of v, 0 where v is zero.

    To see it in a run, wrap a solver: a function that calls it, prints this with jax.debug.print and returns u.
    """
    size = optax.tree.norm(v)
    return jnp.sqrt(tree.squared_distance(matvec(u), v)) / jnp.where(size > 0, size, 1)


def _differentiate_solution(inner: Inner, solver: Solver) -> Solve:
    loop = first_order()(inner)  # Never differentiated: the cheapest to trace.

    def gradient(argnums, fast, params, state, support, key):
        # The key that a further step would have drawn: the solution belongs to no step's random numbers.
        key = jax.random.fold_in(key, inner.steps)
        return jax.grad(inner.loss, argnums, has_aux=True, allow_int=True)(fast, params, state, support, key)[0]

    @jax.custom_vjp
    def solve(start, params, state, support, key):
        fast, info = loop(start, params, state, support, key)
        slope = gradient(0, fast, params, state, support, key)
        pulled = jax.tree.map(lambda g, a, b: g + inner.proximal * (a - b), slope, fast, start)
        return fast, info | {"residual": optax.tree.norm(pulled)}

    def forward(*arguments):
        fast, info = solve(*arguments)
        return (fast, info), (fast, *arguments[1:])

    def backward(solution, cotangents):
        fast, *constants = solution

        def product(argnums, u):
            """Of u with the derivative in fast of the gradient in argument argnums, over the strength."""
            _, second = jax.jvp(lambda fast: gradient(argnums, fast, *constants), (fast,), (u,))
            return jax.tree.map(lambda h: h if h.dtype == jax.dtypes.float0 else h / inner.proximal, second)

        # Forward over reverse: the second derivatives are symmetric, and no activation is stored.
        with relying_on_symmetry("implicit()"):
            u = solver(lambda u: jax.tree.map(jnp.add, u, product(0, u)), cotangents[0])
            params_bar, support_bar = product((1, 3), jax.tree.map(jnp.negative, u))
        return u, params_bar, None, support_bar, None

    solve.defvjp(forward, backward)
    return solve
