"""Compares an estimator with unrolling, on a given model and loss."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta import tree
from jaxmeta.estimators.descent import Estimator, mixed_mode, unrolled
from jaxmeta.types import Episode, Key, MetaLearner, PyTree


def check_estimator(
    learner: Callable[..., MetaLearner],
    episode: Episode,
    estimator: Estimator = mixed_mode(),
    *,
    key: Key | None = None,
    tolerance: float = 1e-6,
    params: PyTree = None,
    state: PyTree = None,
) -> dict[str, float]:
    """Compare the meta-gradient of one episode under an estimator with that under `unrolled()`, both in float64.

    `mixed_mode()` is silently wrong where second derivatives are not symmetric: for straight-through estimators,
    gradient reversal and quantisers written as custom derivatives. This finds out; run it once for a new model.
    Args:
      learner: called as learner(estimator=...): a factory with everything but the estimator, as
        functools.partial(maml, model, loss, optimizer, 5).
      episode: one task; any floating-point dtype.
      estimator: what is checked.
      key: of initialisation and of the meta-loss; None: jax.random.key(0).
      tolerance: largest relative error that counts as agreement. Rounding leaves below 1e-8; a network that computes
        in a narrower dtype than its params, whatever theirs, needs more.
      params, state: where to compare; None: as the learner initialises them.
    Returns:
      errors: path of a leaf of params -> norm of the difference over the norm under `unrolled()`, of leaves beyond
        tolerance; NaN where either has one. Empty: they agree.
    """
    with jax.enable_x64(True):
        key = jax.random.key(0) if key is None else key
        episode = _widen(episode)
        if params is None or state is None:
            first = jax.jit(learner(estimator=unrolled()).init)(key, episode.support.inputs)
            params, state = (a if b is None else b for a, b in zip(first, (params, state), strict=True))
        arguments = (_widen(params), _widen(state), episode, key)
        exact, checked = (_meta_gradient(learner(estimator=each), arguments) for each in (unrolled(), estimator))
        total = math.sqrt(sum(float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(exact)))
        errors = {
            path: _relative(approximate, other, total)
            for (path, other), approximate in zip(tree.named(exact).items(), jax.tree.leaves(checked), strict=True)
        }
    # A NaN is not within any tolerance.
    return {path: error for path, error in errors.items() if not error <= tolerance}


def _meta_gradient(learner: MetaLearner, arguments: tuple) -> PyTree:
    gradient, _ = jax.jit(jax.grad(learner.meta_loss, has_aux=True))(*arguments)
    return jax.tree.map(np.asarray, gradient)


def _relative(checked: np.ndarray, exact: np.ndarray, total: float) -> float:
    # A leaf whose gradient is zero up to rounding is measured against a small part of the whole gradient.
    size = max(float(np.linalg.norm(exact)), 1e-8 * total)
    difference = float(np.linalg.norm(checked - exact))
    return difference / size if size else (0.0 if difference == 0 else math.inf)


def _widen(values: PyTree) -> PyTree:
    def widen(leaf):
        leaf = jnp.asarray(leaf)
        return leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(widen, values)
