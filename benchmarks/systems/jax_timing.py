"""What both JAX systems need of a benchmark: precision, compilation with its time, and a matrix product."""

import time

import jax
import jax.numpy as jnp
import numpy as np


def compiled(function, *arguments):
    """(the compiled function, seconds that tracing and compilation took)."""
    start = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    return program, time.perf_counter() - start


def use_precision(workload):
    """Let JAX compute in float64 where the workload has such weights."""
    jax.config.update("jax_enable_x64", any(weight.dtype == np.float64 for weight in workload.weights.values()))


def to_numpy(gradients):
    """Name -> array."""
    return {name: np.asarray(value) for name, value in gradients.items()}


def matmul(size):
    """A product of two float32 matrices [size, size]."""
    left, right = (jax.random.normal(jax.random.key(seed), (size, size), jnp.float32) for seed in (0, 1))
    product = jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(product(left, right))
