"""What tests of learners run: few programs, compiled quickly; and how results are compared."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Model
from jaxmeta.training import make_update


@functools.cache
def quick_options():
    """Options that make XLA compile in a sixth of the time, for slower code; those that this version of it has."""
    options = {
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": 1,
    }
    known = {}
    for name, value in options.items():
        try:
            jax.jit(lambda x: x, compiler_options={name: value})(0)
        except jax.errors.JaxRuntimeError:
            continue
        known[name] = value
    return known


def compiled(function, **options):
    """jax.jit, with its options, for what runs a few times only."""
    return jax.jit(function, compiler_options=quick_options(), **options)


def jitted(model):
    """The model with functions that are one program each, instead of one for each operation."""
    return Model(compiled(model.init), compiled(model.apply, static_argnums=4))


class Programs(NamedTuple):
    update: Callable
    """(train, episodes) -> (train, metrics), as `make_update` gives it, with all tasks vmapped."""
    each: Callable
    """(train, episodes, keys) -> ((losses, states), gradients) of every task, one after the other."""
    traces: list
    """Grows whenever the update is traced."""


def programs(learner, optimizer):
    """The programs of a learner."""
    traces: list = []
    meta_loss = jax.jit(learner.meta_loss)  # So that both are traced once.

    def traced(*arguments):
        traces.append(1)
        return meta_loss(*arguments)

    def each(train, episodes, keys):
        value_and_grad = jax.value_and_grad(meta_loss, has_aux=True)
        return jax.lax.map(lambda task: value_and_grad(train.params, train.state, *task), (episodes, keys))

    return Programs(compiled(make_update(learner._replace(meta_loss=traced), optimizer)), compiled(each), traces)


def assert_close(actual, expected, tolerance=1e-6):
    """Equal up to rounding, which is that of the largest number where small ones come from differences."""
    chex.assert_trees_all_equal_shapes_and_dtypes(actual, expected)
    largest = max(1.0, float(np.abs(ravel(expected)).max(initial=0)))
    chex.assert_trees_all_close(actual, expected, atol=tolerance * largest, rtol=tolerance)


def ravel(values):
    """All numbers of a tree in one array of float64."""
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(values)] or [np.zeros(0)])


def as_type(values, dtype):
    """A tree with its floats in another type."""
    return jax.tree.map(lambda x: np.asarray(x).astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, values)


def over_tasks(states):
    """What an update makes of the states [B] of its tasks: the mean of floats, the largest of counters."""
    return jax.tree.map(lambda x: x.mean(0) if jnp.issubdtype(x.dtype, jnp.floating) else x.max(0), states)


def fast_among(values, *fast):
    """Values to parametrise a test over, of which only those named belong to the fast tier."""
    return [value if value in fast else pytest.param(value, marks=pytest.mark.slow) for value in values]
