"""Depthwise convolution over time whose derivatives of every order are, on a CPU, loops over its taps.

Written as a sum of shifted products, each tap is a program of its own to a compiler, and so is each derivative of it.
Here are two bilinear primitives instead, whose derivatives are calls of the two again. A leading axis of groups (tasks)
makes room for vmap.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxmeta.types import Array


@jax.custom_jvp
def depthwise(values: Array, kernel: Array) -> Array:
    """Convolve each feature over time with its own column of a kernel; zeros at the ends.

    As a grouped convolution it and its derivatives are slow on a CPU.
    Args:
      values: [N, T, D].
      kernel: [K, D], K odd.
    Returns:
      [N, T, D].
    """
    # What is not differentiated is no primitive: converters to other formats know none.
    taps, frames = len(kernel), values.shape[1]
    padded = jnp.pad(values, ((0, 0), (taps // 2, taps // 2), (0, 0)))
    return sum((kernel[tap] * padded[:, tap : tap + frames] for tap in range(1, taps)), kernel[0] * padded[:, :frames])


@depthwise.defjvp
def _(primals, tangents):
    dtype = jnp.result_type(*primals)

    def form(values: Array, kernel: Array) -> Array:
        return _CONVOLVE.bind(values.astype(dtype)[None], kernel.astype(dtype)[None], taps=len(kernel))[0]

    return jax.jvp(form, primals, tangents)


def _shift(values: Array, taps: int) -> Callable[[Array], Array]:
    """tap -> the values [g, N, T, D] that it meets."""
    padded = jnp.pad(values, ((0, 0), (0, 0), (taps // 2, taps // 2), (0, 0)))
    return lambda tap: lax.dynamic_slice_in_dim(padded, tap, values.shape[2], 2)


def _convolve(values: Array, kernel: Array, taps: int, unroll: bool = False) -> Array:
    """[g, N, T, D], [g, K, D] -> [g, N, T, D]."""
    shift = _shift(values, taps)
    return lax.fori_loop(
        0, taps, lambda tap, total: total + kernel[:, tap, None, None] * shift(tap), jnp.zeros_like(values),
        unroll=unroll,
    )  # fmt: skip


def _correlate(values: Array, results: Array, taps: int, unroll: bool = False) -> Array:
    """[g, N, T, D], [g, N, T, D] -> [g, K, D]."""
    shift = _shift(values, taps)
    sums = lax.scan(lambda _, tap: (None, (shift(tap) * results).sum((1, 2))), None, jnp.arange(taps), unroll=unroll)[1]
    return sums.swapaxes(0, 1)


def _primitive(name: str, function: Callable) -> Primitive:
    primitive = Primitive(name)

    def shape(*avals, taps):
        return avals[0].update(shape=jax.eval_shape(partial(function, taps=taps), *avals).shape)

    primitive.def_impl(jax.jit(primitive.bind, static_argnames="taps"))
    primitive.def_abstract_eval(shape)
    # An accelerator launches a program a turn of a loop; a CPU compiles one a tap without.
    for platform, unroll in {None: True, "cpu": False}.items():
        lowered = mlir.lower_fun(partial(function, unroll=unroll), multiple_results=False)
        mlir.register_lowering(primitive, lowered, platform=platform)
    batching.primitive_batchers[primitive] = partial(_batch, primitive)
    return primitive


def _batch(primitive: Primitive, operands: Sequence[Array], axes: Sequence[int | None], taps: int) -> tuple[Array, int]:
    """vmap: the batch joins the groups."""
    size = next(x.shape[axis] for x, axis in zip(operands, axes, strict=True) if axis is not None)
    moved = [
        jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands, axes, strict=True)
    ]
    result = primitive.bind(*(x.reshape(-1, *x.shape[2:]) for x in moved), taps=taps)
    return result.reshape(size, -1, *result.shape[1:]), 0


_CONVOLVE, _CORRELATE = _primitive("depthwise", _convolve), _primitive("depthwise_kernel", _correlate)
ad.defbilinear(
    _CONVOLVE,
    lambda cotangent, values, kernel, taps: _CONVOLVE.bind(cotangent, jnp.flip(kernel, 1), taps=taps),
    lambda cotangent, values, kernel, taps: _CORRELATE.bind(values, cotangent, taps=taps),
)
ad.defbilinear(
    _CORRELATE,
    lambda cotangent, values, results, taps: _CONVOLVE.bind(results, jnp.flip(cotangent, 1), taps=taps),
    lambda cotangent, values, results, taps: _CONVOLVE.bind(values, cotangent, taps=taps),
)
