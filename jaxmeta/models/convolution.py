"""Two-dimensional convolution whose derivatives of every order are fast, in loops and with a kernel for each task.

XLA differentiates a convolution into others with their axes in another order. Inside a loop, and an inner loop is one,
a CPU runs those ten times as slowly as it could, and under vmap over kernels they become grouped convolutions, which
are slower still (benchmarks/TRIED.md). So convolution is here what it is on paper: a form that is linear in inputs,
kernel and outputs. A primitive gives each of the three from the other two. Their derivatives are calls of the
three again, always with the order of axes that XLA runs fast, and a leading axis of groups (tasks) makes room for vmap.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import export, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxmeta.models.accelerated.convolution_programs import gpu_program
from jaxmeta.types import Array

_ORDER = ("NHWC", "HWIO", "NHWC")
_CHUNKS = (8, 7, 6, 5)
"""Examples whose share of a kernel's gradient a CPU computes at once, so that they stay in its cache; of these the one
that leaves fewest places of the last chunk empty."""


class _Geometry(NamedTuple):
    """Height and width of each."""

    inputs: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]

    @property
    def outputs(self) -> tuple[int, int]:
        height, width = (-(-size // stride) for size, stride in zip(self.inputs, self.strides, strict=True))
        return height, width

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Zeros before and behind the inputs: half a kernel, as far as the strides reach."""
        spans = [(count - 1) * stride for count, stride in zip(self.outputs, self.strides, strict=True)]
        sizes = zip(self.inputs, self.kernel, spans, strict=True)
        return tuple((kernel // 2, span + kernel - size - kernel // 2) for size, kernel, span in sizes)


def convolve(inputs: Array, kernel: Array, strides: tuple[int, int] = (1, 1)) -> Array:
    """Two-dimensional convolution (correlation, as everywhere in the field) with zero padding of half the kernel.

    Differentiable any number of times, in forward and in reverse mode.
    Args:
      inputs: [N, H, W, C].
      kernel: [kh, kw, C, D], kh and kw odd.
      strides: of H and W.
    Returns:
      [N, ceil(H / strides[0]), ceil(W / strides[1]), D].
    Raises:
      ValueError: at trace time, a kernel of even size, or shapes other than these.
    """
    if inputs.ndim != 4 or kernel.ndim != 4 or inputs.shape[3] != kernel.shape[2]:
        raise ValueError(
            f"convolve needs inputs [N, H, W, C] and a kernel [kh, kw, C, D], got {inputs.shape} and {kernel.shape}."
        )
    if not all(size % 2 for size in kernel.shape[:2]):
        raise ValueError(f"convolve needs a kernel of odd height and width, got {kernel.shape}; pad it with zeros.")
    dtype = jnp.result_type(inputs, kernel)
    inputs, kernel = inputs.astype(dtype), kernel.astype(dtype)
    geometry = _Geometry(
        (inputs.shape[1], inputs.shape[2]), (kernel.shape[0], kernel.shape[1]), (strides[0], strides[1])
    )
    if any(export.is_symbolic_dim(size) for size in inputs.shape):  # The primitives know numbers only.
        return _product(inputs, kernel, geometry)
    few = len(inputs) < 32 and kernel.shape[3] < (32 if geometry.strides == (1, 1) else 64)
    if 1 in geometry.kernel or few:  # Patches that repeat little, or few outputs: products of matrices are faster.
        return _product(inputs, kernel, geometry)
    return _PRIMITIVES[2].bind(inputs[None], kernel[None], geometry=geometry)[0]


def padding(inputs: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Zeros before and behind the height and the width of the inputs, as `convolve` has them."""
    return _Geometry(inputs, kernel, strides).padding


def _product(inputs: Array, kernel: Array, geometry: _Geometry) -> Array:
    """[N, H, W, C], [kh, kw, C, D] -> [N, H', W', D] as patches times a matrix.

    A strided axis is first split in phases: slices of these have no gaps, which XLA fills slowly in the derivative.
    """
    n, height, width, channels = inputs.shape
    (rows, columns), strides = geometry.outputs, geometry.strides
    padded = jnp.pad(inputs, ((0, 0), (0, rows * strides[0] - height), (0, columns * strides[1] - width), (0, 0)))
    phases = padded.reshape(n, rows, strides[0], columns, strides[1], channels).transpose(2, 4, 0, 1, 3, 5)
    down, across = (
        [divmod(tap - length // 2, stride) for tap in range(length)]
        for length, stride in zip(geometry.kernel, strides, strict=True)
    )
    top, left = -down[0][0], -across[0][0]
    phases = jnp.pad(phases, ((0, 0), (0, 0), (0, 0), (top, down[-1][0]), (left, across[-1][0]), (0, 0)))
    patches = [
        phases[row, column, :, top + i : top + i + rows, left + j : left + j + columns]
        for i, row in down
        for j, column in across
    ]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def _outputs(inputs: Array, kernel: Array, geometry: _Geometry) -> Array:
    return lax.conv_general_dilated(
        inputs, kernel, geometry.strides, geometry.padding, dimension_numbers=_ORDER
    )  # fmt: skip


def _inputs(kernel: Array, outputs: Array, geometry: _Geometry) -> Array:
    """A convolution of the outputs, spread by the strides, with the kernel turned round."""
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    ends = []
    for size, length, stride, count, (before, _) in zip(*geometry, geometry.outputs, geometry.padding, strict=True):
        first = length - 1 - before
        ends.append((first, size + length - 1 - ((count - 1) * stride + 1) - first))
    return lax.conv_general_dilated(
        outputs, turned, (1, 1), ends, lhs_dilation=geometry.strides, dimension_numbers=_ORDER
    )  # fmt: skip


def _kernel(inputs: Array, outputs: Array, geometry: _Geometry) -> Array:
    """A convolution of the inputs with the outputs, spread by the strides, that sums over examples."""
    if len(inputs) > _CHUNKS[0]:
        return _sum_of_chunks(partial(_kernel, geometry=geometry), inputs, outputs)
    kernel = lax.conv_general_dilated(
        inputs.transpose(3, 1, 2, 0), outputs.transpose(1, 2, 0, 3), (1, 1), geometry.padding,
        rhs_dilation=geometry.strides, dimension_numbers=_ORDER,
    )  # fmt: skip
    return kernel.transpose(1, 2, 0, 3)


def _sum_of_chunks(function: Callable, *operands: Array) -> Array:
    count = len(operands[0])
    chunk = min(_CHUNKS, key=lambda size: -count % size)
    chunks, missing = -(-count // chunk), -count % chunk
    padded = [jnp.pad(x, ((0, missing), *[(0, 0)] * (x.ndim - 1))) for x in operands]
    split = [x.reshape(chunks, chunk, *x.shape[1:]) for x in padded]
    # From zeros, not from the first chunk, which would be a second program beside the loop's.
    shape = jax.eval_shape(function, *(x[0] for x in split))
    start = jnp.zeros(shape.shape, shape.dtype)
    return lax.fori_loop(0, chunks, lambda i, total: total + function(*(x[i] for x in split)), start)


def _on_cpu(function: Callable) -> Callable:
    """One group after another, each an ordinary convolution."""

    def run(first: Array, second: Array, geometry: _Geometry) -> Array:
        if len(first) == 1:
            return function(first[0], second[0], geometry)[None]
        return lax.map(lambda pair: function(*pair, geometry), (first, second))

    return run


def _elsewhere(role: int) -> Callable:
    """For an accelerator: one group as a convolution; more as a program for them all, or as patches times matrices."""

    def outputs(inputs: Array, kernel: Array, geometry: _Geometry) -> Array:
        if len(inputs) == 1:
            return _outputs(inputs[0], kernel[0], geometry)[None]
        return jax.vmap(partial(_product, geometry=geometry))(inputs, kernel)

    def inputs(kernel: Array, results: Array, geometry: _Geometry) -> Array:
        shape = (*results.shape[:2], *geometry.inputs, kernel.shape[3])
        start = jax.ShapeDtypeStruct(shape, results.dtype)
        return jax.linear_transpose(lambda x: outputs(x, kernel, geometry), start)(results)[0]

    def kernel(inputs: Array, results: Array, geometry: _Geometry) -> Array:
        shape = (len(inputs), *geometry.kernel, inputs.shape[-1], results.shape[-1])
        start = jax.ShapeDtypeStruct(shape, results.dtype)
        return jax.linear_transpose(lambda k: outputs(inputs, k, geometry), start)(results)[0]

    return (inputs, kernel, outputs)[role]


def _on_gpu(role: int) -> Callable:
    """Programs that write no patches, where there are several groups of enough channels."""
    elsewhere = _elsewhere(role)

    def run(first: Array, second: Array, geometry: _Geometry) -> Array:
        if len(first) > 1:
            result = jax.eval_shape(partial(elsewhere, geometry=geometry), first, second)
            program = gpu_program(role, first, second, result, geometry)
            if program is not None:
                return program(first, second, geometry)
        return elsewhere(first, second, geometry)

    return run


_AXES = ("gNHWC", "gHWCD", "gNHWD")
"""Of inputs, kernel and outputs: groups, examples, height, width, channels in and out. The numbers of the roles."""


def _primitive(role: int, on_cpu: Callable) -> Primitive:
    """What gives the array of one role from those of the two others, in their order."""
    name = "convolution_" + ("inputs", "kernel", "outputs")[role]
    primitive, run = Primitive(name), _on_cpu(on_cpu)

    def shape(*avals, geometry):
        return avals[0].update(shape=jax.eval_shape(partial(run, geometry=geometry), *avals).shape)

    primitive.def_impl(jax.jit(primitive.bind, static_argnames="geometry"))
    primitive.def_abstract_eval(shape)
    for platform, function in {None: _elsewhere(role), "cpu": run, "cuda": _on_gpu(role)}.items():
        named = jax.named_scope(name)(function)  # So that a profile says which of the three an operation belongs to.
        mlir.register_lowering(primitive, mlir.lower_fun(named, multiple_results=False), platform=platform)
    return primitive


_PRIMITIVES = [_primitive(role, function) for role, function in enumerate((_inputs, _kernel, _outputs))]


def _transpose(operand: int, role: int, cotangent: Array, *operands: Any, geometry: _Geometry) -> Array:
    """Linear in `operand`: its cotangent is that of the form, with the cotangent in the place of the result."""
    rest = next(other for other in range(3) if other not in (operand, role))
    values = {role: cotangent, rest: operands[rest - (rest > role)]}
    return _PRIMITIVES[operand].bind(*(values[r] for r in sorted(values)), geometry=geometry)


def _batch(role: int, operands: Sequence[Array], axes: Sequence[int | None], geometry: _Geometry) -> tuple[Array, int]:
    """vmap: two batched operands have groups of their own; one alone joins an axis that only it and the result have."""
    given = [other for other in range(3) if other != role]
    moved = [x if axis is None else jnp.moveaxis(x, axis, 0) for x, axis in zip(operands, axes, strict=True)]
    joined, batch = "g", next(len(x) for x, axis in zip(moved, axes, strict=True) if axis is not None)
    if None in axes:
        own = _AXES[given[1 - axes.index(None)]]
        joined = next(axis for axis in "NCD" if axis in own and axis in _AXES[role])
    for index, axis in enumerate(axes):
        if axis is not None:
            place = _AXES[given[index]].index(joined)
            moved[index] = _join(moved[index], place)
    result = _PRIMITIVES[role].bind(*moved, geometry=geometry)
    place = _AXES[role].index(joined)
    parted = result.reshape(*result.shape[:place], batch, -1, *result.shape[place + 1 :])
    return jnp.moveaxis(parted, place, 0), 0


def _join(operand: Array, axis: int) -> Array:
    """[batch, ...] -> [...], the batch made the major part of an axis."""
    moved = jnp.moveaxis(operand, 0, axis)
    return moved.reshape(*moved.shape[:axis], -1, *moved.shape[axis + 2 :])


for _role, _made in enumerate(_PRIMITIVES):
    _first, _second = (other for other in range(3) if other != _role)
    ad.defbilinear(_made, partial(_transpose, _first, _role), partial(_transpose, _second, _role))
    batching.primitive_batchers[_made] = partial(_batch, _role)
