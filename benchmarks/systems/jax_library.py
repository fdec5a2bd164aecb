"""What JAX systems share: devices, precision, compilation with its time and memory, and a matrix product."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.shared.host import usable_cores
from jaxmeta.training.runtime import prepare

PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32", "bf16": "tensorfloat32"}
"""Of a workload -> `jax.default_matmul_precision`. In "bf16" a network itself computes in bfloat16."""


def start() -> None:
    """A CPU shows a device for each core that this process may use, and JAX keeps memory that it frees."""
    prepare(devices=usable_cores())


def device() -> dict[str, str]:
    """{"platform": "cpu" or "gpu", "kind": its name}."""
    first = jax.devices()[0]
    return {"platform": first.platform, "kind": first.device_kind}


def use(precision: str) -> str:
    """Compute products so from now on; returns the settings in words."""
    jax.config.update("jax_default_matmul_precision", PRECISIONS[precision])
    return f"jax.default_matmul_precision={PRECISIONS[precision]!r}"


def use_types(workload):
    """Let JAX compute in float64 where the workload has such weights, and in its precision."""
    jax.config.update("jax_enable_x64", any(weight.dtype == np.float64 for weight in workload.weights.values()))
    use(workload.precision)


def compiled(function, *arguments):
    """(the compiled function, seconds that tracing and compilation took, MiB that it plans)."""
    began = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    seconds, plan = time.perf_counter() - began, program.memory_analysis()
    planned = plan.temp_size_in_bytes + plan.argument_size_in_bytes + plan.output_size_in_bytes
    return program, seconds, planned / 2**20


def to_numpy(gradients):
    """Name -> array."""
    return {name: np.asarray(value) for name, value in gradients.items()}


def release() -> None:
    """Forget compiled programs."""
    jax.clear_caches()


def reset_peak() -> None:
    """Nothing: JAX says what it plans."""


def peak_mb() -> float | None:
    """None: JAX says what it plans."""
    return None


def matmul(size, precision):
    """A product of two square matrices [size, size]."""
    dtype = jnp.bfloat16 if precision == "bf16" else jnp.float32
    left, right = (jax.random.normal(jax.random.key(seed), (size, size), dtype) for seed in (0, 1))
    product = jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(product(left, right))
