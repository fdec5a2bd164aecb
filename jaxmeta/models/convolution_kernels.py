"""Convolutions with a kernel for each group as single programs for a GPU, which never write patches to its memory.

As patches times a matrix, a convolution of 3 x 3 writes and reads its inputs nine times; a grouped convolution leaves
most of a GPU idle. Here a program computes a tile of the result and reads the inputs where they lie: what neighbouring
taps share comes from the cache. Products are in the precision that `jax.default_matmul_precision` asks for, sums in
float32. Three functions, one for each array of the form (see `convolution`), with groups in front.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmeta.types import Array

if TYPE_CHECKING:
    from jaxmeta.models.convolution import _Geometry as Geometry

ROWS, CHANNELS = 64, 64
"""Of a tile: places of an image, and channels."""
WANTED = 512
"""Programs that keep a GPU busy; kernels' gradients are summed in parts until there are as many."""


def fits(first: Any, second: Any, result: Any, geometry: Geometry) -> bool:
    """Whether these arrays are what the programs are for: channels enough, indices of 32 bits, types that are fast."""
    arrays = (first, second, result)
    narrow = all(array.dtype == first.dtype for array in arrays) and first.dtype in (jnp.float32, jnp.bfloat16)
    small = all(array.size < 2**31 for array in arrays)
    return narrow and small and min(array.shape[-1] for array in arrays) >= 16 and 1 not in geometry.kernel


def outputs(inputs: Array, kernel: Array, geometry: Geometry, interpret: bool = False) -> Array:
    """[G, N, H, W, C], [G, kh, kw, C, D] -> [G, N, H', W', D]."""
    groups, examples, *_, channels = inputs.shape
    features = kernel.shape[-1]
    taps = [
        (i - top, j - left, i * geometry.kernel[1] + j)
        for (top, _), (left, _) in [geometry.padding]
        for i in range(geometry.kernel[0])
        for j in range(geometry.kernel[1])
    ]
    plan = _Plan(examples, geometry.outputs, geometry.inputs, geometry.strides, channels, features, len(taps))
    return _tiles(inputs, kernel, plan, [(taps, (0, 0))], geometry.outputs, (1, 1), interpret)


def inputs(kernel: Array, results: Array, geometry: Geometry, interpret: bool = False) -> Array:
    """[G, kh, kw, C, D], [G, N, H', W', D] -> [G, N, H, W, C]; places between the strides see few of the taps."""
    examples, features = results.shape[1], results.shape[-1]
    turned = kernel.swapaxes(-1, -2)
    phases = []
    for row in range(geometry.strides[0]):
        for column in range(geometry.strides[1]):
            down, across = (
                [
                    ((place + before - tap) // stride, tap)
                    for tap in range(length)
                    if (place + before - tap) % stride == 0
                ]
                for place, length, stride, (before, _) in zip(
                    (row, column), geometry.kernel, geometry.strides, geometry.padding, strict=True
                )
            )
            taps = [(i, j, a * geometry.kernel[1] + b) for i, a in down for j, b in across]
            phases.append((taps, (row, column)))
    places = tuple(-(-size // stride) for size, stride in zip(geometry.inputs, geometry.strides, strict=True))
    plan = _Plan(
        examples, places, geometry.outputs, (1, 1), features, kernel.shape[-2], geometry.kernel[0] * geometry.kernel[1]
    )
    return _tiles(results, turned, plan, phases, geometry.inputs, geometry.strides, interpret)


class _Plan:
    """Sizes of a sum over taps and channels of inputs times matrices, at places of images."""

    def __init__(self, examples, places, size, strides, channels, features, taps):
        self.examples, self.places, self.size, self.strides = examples, places, size, strides
        self.channels, self.features, self.taps = channels, features, taps
        self.count = examples * places[0] * places[1]
        self.block, self.width = _block(channels), _block(features)

    def rows(self, first):
        """Example, row and column of the places from the first on, and which of them there are."""
        row = first + jnp.arange(ROWS)
        area = self.places[0] * self.places[1]
        return row // area, row % area // self.places[1], row % self.places[1], row < self.count

    def address(self, example, down, across, real):
        """Number of an input, and whether it lies within its image."""
        inside = real & (down >= 0) & (down < self.size[0]) & (across >= 0) & (across < self.size[1])
        return jnp.where(inside, (example * self.size[0] + down) * self.size[1] + across, 0), inside


def _tiles(values, matrices, plan, phases, size, spread, interpret):
    """For each phase, sum over taps of values, moved by the tap, times its matrix; phases interleave in the result."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    groups = len(values)

    def program(values_ref, matrices_ref, results_ref):
        group, tile, part = (pl.program_id(axis) for axis in range(3))
        example, row, column, real = plan.rows(tile * ROWS)
        features = part * plan.width + jnp.arange(plan.width)
        for taps, (first_row, first_column) in phases:
            total = jnp.zeros((ROWS, plan.width), jnp.float32)
            for down, across, tap in taps:
                place, inside = plan.address(
                    example, row * plan.strides[0] + down, column * plan.strides[1] + across, real
                )
                base = (group * (plan.examples * plan.size[0] * plan.size[1]) + place) * plan.channels
                for start in range(0, plan.channels, plan.block):
                    channels = start + jnp.arange(plan.block)
                    known = channels < plan.channels
                    left = triton.load(
                        values_ref.at[base[:, None] + channels[None, :]],
                        mask=inside[:, None] & known[None, :], other=0.0,
                    )  # fmt: skip
                    entry = ((group * plan.taps + tap) * plan.channels + channels) * plan.features
                    right = triton.load(
                        matrices_ref.at[entry[:, None] + features[None, :]],
                        mask=known[:, None] & (features < plan.features)[None, :], other=0.0,
                    )  # fmt: skip
                    total += _product(left, right)
            there = row * spread[0] + first_row, column * spread[1] + first_column
            written = real & (there[0] < size[0]) & (there[1] < size[1])
            place = ((group * plan.examples + example) * size[0] + there[0]) * size[1] + there[1]
            place = jnp.where(written, place, 0) * plan.features
            triton.store(
                results_ref.at[place[:, None] + features[None, :]], total.astype(results_ref.dtype),
                mask=written[:, None] & (features < plan.features)[None, :],
            )  # fmt: skip

    shape = (groups, plan.examples, *size, plan.features)
    dtype = values.dtype
    grid = (groups, -(-plan.count // ROWS), -(-plan.features // plan.width))
    call = _call(program, grid, groups * plan.examples * size[0] * size[1] * plan.features, dtype, interpret)
    return call(values.reshape(-1), matrices.reshape(-1)).reshape(shape)


def kernel(inputs: Array, results: Array, geometry: Geometry, interpret: bool = False) -> Array:
    """[G, N, H, W, C], [G, N, H', W', D] -> [G, kh, kw, C, D]: sums over places, in parts where there are few groups."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    groups, examples, *_, channels = inputs.shape
    features, (down, across) = results.shape[-1], geometry.kernel
    plan = _Plan(
        examples, geometry.outputs, geometry.inputs, geometry.strides, channels, features, down * across
    )  # fmt: skip
    blocks, widths, tiles = -(-channels // plan.block), -(-features // plan.width), -(-plan.count // ROWS)
    parts = max(1, min(tiles, WANTED // (groups * down * blocks * widths)))
    share = -(-tiles // parts)

    def program(inputs_ref, results_ref, sums_ref):
        group, place, part = (pl.program_id(axis) for axis in range(3))
        tap_row, rest = place // (blocks * widths), place % (blocks * widths)
        channel = rest // widths * plan.block + jnp.arange(plan.block)
        feature = rest % widths * plan.width + jnp.arange(plan.width)

        def add(step, totals):
            example, row, column, real = plan.rows((part * share + step) * ROWS)
            number = ((group * examples + example) * plan.places[0] + row) * plan.places[1] + column
            right = triton.load(
                results_ref.at[jnp.where(real, number, 0)[:, None] * features + feature[None, :]],
                mask=real[:, None] & (feature < features)[None, :], other=0.0,
            )  # fmt: skip
            found = []
            for tap, total in enumerate(totals):
                (top, _), (left, _) = geometry.padding
                address, inside = plan.address(
                    example, row * plan.strides[0] + tap_row - top, column * plan.strides[1] + tap - left, real
                )
                address += group * (examples * plan.size[0] * plan.size[1])
                values = triton.load(
                    inputs_ref.at[address[:, None] * channels + channel[None, :]],
                    mask=inside[:, None] & (channel < channels)[None, :], other=0.0,
                )  # fmt: skip
                found.append(total + _product(values.T, right))
            return tuple(found)

        zero = jnp.zeros((plan.block, plan.width), jnp.float32)
        totals = lax.fori_loop(0, share, add, (zero,) * across)
        for tap, total in enumerate(totals):
            matrix = ((part * groups + group) * down + tap_row) * across + tap
            triton.store(
                sums_ref.at[(matrix * channels + channel)[:, None] * features + feature[None, :]], total,
                mask=(channel < channels)[:, None] & (feature < features)[None, :],
            )  # fmt: skip

    shape = (parts, groups, down, across, channels, features)
    call = _call(
        program, (groups, down * blocks * widths, parts), parts * groups * down * across * channels * features,
        jnp.float32, interpret,
    )  # fmt: skip
    return call(inputs.reshape(-1), results.reshape(-1)).reshape(shape).sum(0).astype(inputs.dtype)


def _call(program, grid, size, dtype, interpret):
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    parameters = {} if interpret else {"compiler_params": triton.CompilerParams(num_warps=4, num_stages=2)}
    return pl.pallas_call(
        program, grid=grid, out_shape=jax.ShapeDtypeStruct((size,), dtype), interpret=interpret, **parameters
    )


def _product(left, right):
    precision = partial(lax.dot_general, left, right, (((1,), (0,)), ((), ())))
    exact = left.dtype == jnp.float32 and jax.config.jax_default_matmul_precision in ("float32", "highest")
    chosen = lax.Precision.HIGHEST if exact else lax.Precision.DEFAULT
    return precision(precision=chosen, preferred_element_type=jnp.float32)


def _block(channels: int) -> int:
    """Least power of two that holds the channels, at most a tile's."""
    return min(CHANNELS, 1 << (channels - 1).bit_length())
