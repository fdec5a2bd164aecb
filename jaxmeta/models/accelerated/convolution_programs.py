"""Which program of a GPU a convolution of several groups is."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp

from jaxmeta.models.accelerated import convolution_kernels

if TYPE_CHECKING:
    from jaxmeta.models.convolution import _Geometry as Geometry

Form = Literal["programs", "patches"]
_form: ContextVar[Form] = ContextVar("form", default="patches")
LEAST = 16
"""Channels of a product of tensor cores."""


@contextlib.contextmanager
def convolution_form(form: Form) -> Iterator[None]:
    """While this is open, what is compiled for a GPU convolves in this form where every task has a kernel of its own.

    Args:
      form: "patches", the default: as patches times matrices. "programs": by a program of Triton's where there is one,
        which was faster layer by layer on an H100, and has not been measured in whole updates.
    Raises:
      ValueError: another form.
    """
    if form not in ("programs", "patches"):
        raise ValueError(f"form must be 'programs' or 'patches', got {form!r}.")
    token = _form.set(form)
    try:
        yield
    finally:
        _form.reset(token)


def gpu_program(role: int, first: Any, second: Any, result: Any, geometry: "Geometry") -> Callable | None:
    """What gives the array of a role from the two others, or None: patches times matrices do as well, or better.

    By layers of 64 channels and 128 tasks on an H100 (benchmarks/README.md): programs are 1.7 to 4.2 times as fast in
    bfloat16, and 1.3 to 1.9 times in float32, but for kernels' gradients of float32, which tensor cores would have to
    transpose.

    Args:
      role: 0: inputs, 1: kernel, 2: outputs; the operands are the two others in this order.
      first, second, result: arrays of the form with groups in front, or their shapes.
      geometry: sizes and strides.
    """
    arrays = [first, second]
    arrays.insert(role, result)
    channels, features = arrays[1].shape[-2:]
    narrow = all(array.dtype == first.dtype for array in arrays) and first.dtype in (jnp.float32, jnp.bfloat16)
    # Products of all bits of float32 are no faster as programs, and take a minute to compile.
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    exact = first.dtype == jnp.float32 and precision in ("float32", "highest")
    # Addresses have 32 bits. Patches of kernels of height or width 1 repeat little.
    if (
        _form.get() == "patches"
        or not narrow
        or exact
        or max(array.size for array in arrays) >= 2**31
        or 1 in geometry.kernel
    ):
        return None
    if channels < LEAST or features < LEAST or (role == 1 and first.dtype == jnp.float32):
        return None
    return (convolution_kernels.inputs, convolution_kernels.kernel, convolution_kernels.outputs)[role]
