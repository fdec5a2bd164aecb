"""The black-box estimator: the meta-gradient from runs of the inner loop at perturbed params, never differentiated."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.estimators.descent import Estimator, Solve, first_order
from jaxmeta.optimizers import depends_on
from jaxmeta.types import Array, Inner, Key, PyTree


def evolution(sigma: float, pairs: int) -> Estimator:
    """Estimates the derivative of the inner loop in (fast, params) by antithetic Gaussian smoothing.

    The loop is run, not differentiated: it may hold a sign, a quantiser or a search. The estimate is that of the loop
    smoothed by noise of size sigma; its error falls with the square root of pairs and grows with that of the number of
    params. Zero with respect to the support set, and the cotangents of info are ignored.
    Args:
      sigma: standard deviation of the noise, above 0, in the units of params; well above their rounding.
      pairs: pairs of runs, x + sigma e and x - sigma e, 1 or more; they run in turn, so memory does not grow with them.
    Raises:
      ValueError: sigma of 0 or less, or pairs below 1.
    Source: Salimans et al. 2017 (arXiv 1703.03864), section 2; antithetic pairs: section 2.1. Differs: smooths the map
      from params to fast, and the cotangent of fast that comes from the query loss is exact.

    >>> learner = maml(model, cross_entropy, optax.sgd(0.1), steps=5, estimator=evolution(0.1, 4))
    """
    check_smoothing("evolution", sigma, pairs)

    def estimator(inner: Inner) -> Solve:
        loop = first_order()(inner)  # Never differentiated: the cheapest to trace.
        solve = jax.custom_vjp(loop)

        def forward(*arguments):
            return solve(*arguments), arguments

        def backward(arguments, cotangents):
            fast, params, state, support, key = arguments

            def along(plus: PyTree, minus: PyTree) -> Array:
                return _inner_product(cotangents[0], plus, minus)

            fast_bar, params_bar = smoothed_gradient(
                lambda point: loop(*point, state, support, key)[0], along, (fast, params), sigma, pairs, key
            )
            return fast_bar, params_bar, None, None, None

        solve.defvjp(forward, backward)
        return solve

    return estimator


def smoothed_gradient(
    function: Callable[[PyTree], PyTree],
    difference: Callable[[PyTree, PyTree], Array],
    point: PyTree,
    sigma: float,
    pairs: int,
    key: Key,
) -> PyTree:
    """Mean over pairs of e * difference(function(point + sigma e), function(point - sigma e)) / (2 sigma).

    Args:
      function: of a tree like point; leaves that it does not read get a gradient of zero, not of noise.
      difference: (plus, minus) -> scalar, linear in plus - minus.
      point: leaves that are not floating-point stay as they are and get float0.
      sigma, pairs: as in `evolution`.
      key: of the noise e; it shares no random numbers with what function draws from the same key.
    """
    leaves, structure = jax.tree.flatten(point)
    read = _read(function, point)
    noisy = [leaf for leaf, noisy in zip(leaves, read, strict=True) if noisy]
    key = jax.random.fold_in(key, np.iinfo(np.int32).max)  # An index beyond that of any split.

    def fill(noisy, rest):
        """Leaves of `noisy` where the function reads them, of `rest` elsewhere, as a tree like point."""
        noisy = iter(noisy)
        return jax.tree.unflatten(structure, [next(noisy) if r else leaf for r, leaf in zip(read, rest, strict=True)])

    def add(total, pair):
        keys = jax.random.split(jax.random.fold_in(key, pair), len(noisy))
        noise = [jax.random.normal(k, jnp.shape(leaf), leaf.dtype) for k, leaf in zip(keys, noisy, strict=True)]

        def run(scale):
            return function(
                fill([leaf + scale.astype(e.dtype) * e for leaf, e in zip(noisy, noise, strict=True)], leaves)
            )

        # A map, so that the function is compiled once for both.
        runs = jax.lax.map(run, jnp.array([sigma, -sigma]))
        plus, minus = (jax.tree.map(lambda leaf, i=i: leaf[i], runs) for i in (0, 1))
        slope = difference(plus, minus) / (2 * sigma * pairs)
        return [t + slope.astype(t.dtype) * e.astype(t.dtype) for t, e in zip(total, noise, strict=True)], None

    total, _ = jax.lax.scan(add, [jnp.zeros(jnp.shape(leaf), _wide(leaf)) for leaf in noisy], jnp.arange(pairs))
    return fill([t.astype(leaf.dtype) for t, leaf in zip(total, noisy, strict=True)], map(_zero, leaves))


def _read(function: Callable, point: PyTree) -> list[bool]:
    """For every leaf, whether it is floating-point and the function's value can depend on it."""
    leaves = jax.tree.leaves(point)
    jaxpr = jax.make_jaxpr(function)(point).jaxpr
    return [
        jnp.issubdtype(leaf.dtype, jnp.inexact) and any(depends_on(jaxpr, [index])) for index, leaf in enumerate(leaves)
    ]


def check_smoothing(name: str, sigma: float, pairs: int) -> None:
    """Raise a ValueError unless sigma is above 0 and pairs 1 or more."""
    if not sigma > 0 or pairs < 1:
        raise ValueError(f"{name} needs sigma > 0 and pairs >= 1, got {sigma} and {pairs}.")


def _inner_product(direction: PyTree, plus: PyTree, minus: PyTree) -> Array:
    # Subtracts before it multiplies: the runs differ by little, and their products with direction by less.
    products = jax.tree.map(
        lambda v, a, b: jnp.sum(v.astype(_wide(v)) * (a.astype(_wide(a)) - b.astype(_wide(b)))),
        direction,
        plus,
        minus,
    )
    return sum(jax.tree.leaves(products), jnp.zeros(()))


def _wide(leaf: Array):
    return jnp.promote_types(leaf.dtype, jnp.float32)


def _zero(leaf: Array):
    floating = jnp.issubdtype(leaf.dtype, jnp.inexact)
    return jnp.zeros_like(leaf) if floating else np.zeros(jnp.shape(leaf), jax.dtypes.float0)
