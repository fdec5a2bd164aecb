"""Convolutions with a kernel for each group as single programs for a GPU, which never write patches to its memory.

As patches times a matrix, a convolution of 3 x 3 writes and reads its inputs nine times; a grouped convolution leaves
most of a GPU idle. Here a program computes a tile of the result and reads the inputs where they lie: what neighbouring
taps share comes from the cache. Products are of bfloat16, or of float32 rounded as tensor cores do, sums in float32.
Three functions, one for each array of the form (see `convolution`), with groups in front.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxmeta.types import Array

if TYPE_CHECKING:
    from jaxmeta.models.convolution import _Geometry as Geometry

CHANNELS = 64
"""Of a tile."""
PLACES = {jnp.dtype(jnp.float32): 128, jnp.dtype(jnp.bfloat16): 64}
"""Of a tile of inputs or outputs, by the type; kernels' gradients sum over 64 at a time. The fastest of 64 and 128."""
WANTED = 512
"""Programs that keep a GPU busy; kernels' gradients are summed in parts until there are as many."""


def outputs(inputs: Array, kernel: Array, geometry: Geometry, interpret: bool = False) -> Array:
    """[G, N, H, W, C], [G, kh, kw, C, D] -> [G, N, H', W', D]."""
    plan = _Plan(
        inputs.shape[1], geometry.outputs, geometry.inputs, geometry.strides, inputs.shape[-1], kernel.shape[-1],
        PLACES[inputs.dtype],
    )  # fmt: skip
    (top, _), (left, _) = geometry.padding
    taps = [_Taps(0, 1, -before, 1, length) for before, length in zip((top, left), geometry.kernel, strict=True)]
    return _tiles(inputs, kernel, plan, [(taps, (0, 0))], geometry, geometry.outputs, (1, 1), interpret)


def inputs(kernel: Array, results: Array, geometry: Geometry, interpret: bool = False) -> Array:
    """[G, kh, kw, C, D], [G, N, H', W', D] -> [G, N, H, W, C]; places between the strides see few of the taps."""
    places = tuple(-(-size // stride) for size, stride in zip(geometry.inputs, geometry.strides, strict=True))
    tile = PLACES[results.dtype]
    plan = _Plan(results.shape[1], places, geometry.outputs, (1, 1), results.shape[-1], kernel.shape[-2], tile)
    axes = list(zip(geometry.kernel, geometry.strides, geometry.padding, strict=True))
    phases = [
        ([_phase(place, *axis) for place, axis in zip((row, column), axes, strict=True)], (row, column))
        for row in range(geometry.strides[0])
        for column in range(geometry.strides[1])
    ]
    turned = kernel.swapaxes(-1, -2)
    return _tiles(results, turned, plan, phases, geometry, geometry.inputs, geometry.strides, interpret)


class _Taps(NamedTuple):
    """Along one axis: tap `first + i * stride` sees `offset + i * step` beside a place, for i below `number`."""

    first: int
    stride: int
    offset: int
    step: int
    number: int


def _phase(place: int, length: int, stride: int, padding: tuple[int, int]) -> _Taps:
    """The taps through which outputs reach the inputs that lie `place` after a multiple of the stride."""
    first = (place + padding[0]) % stride
    return _Taps(first, stride, (place + padding[0] - first) // stride, -1, max(0, -(-(length - first) // stride)))


class _Plan:
    """Sizes of a sum over taps and channels of inputs times matrices, at places of images."""

    def __init__(self, examples, places, size, strides, channels, features, tile):
        self.examples, self.places, self.size, self.strides = examples, places, size, strides
        self.channels, self.features = channels, features
        self.tile = tile
        self.count = examples * places[0] * places[1]
        self.block, self.width = _block(channels), _block(features)

    def rows(self, first):
        """Example, row and column of the places from the first on, and which of them there are."""
        row = first + jnp.arange(self.tile)
        area = self.places[0] * self.places[1]
        return row // area, row % area // self.places[1], row % self.places[1], row < self.count

    def address(self, example, down, across, real):
        """Number of an input, and whether it lies within its image."""
        inside = real & (down >= 0) & (down < self.size[0]) & (across >= 0) & (across < self.size[1])
        return jnp.where(inside, (example * self.size[0] + down) * self.size[1] + across, 0), inside


def _tiles(values, matrices, plan, phases, geometry, size, spread, interpret):
    """For each phase, sum over taps of values, moved by the tap, times its matrix; phases interleave in the result."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    groups = len(values)
    blocks = -(-plan.channels // plan.block)

    def program(values_ref, matrices_ref, results_ref):
        group, tile, part = (pl.program_id(axis) for axis in range(3))
        example, row, column, real = plan.rows(tile * plan.tile)
        features = part * plan.width + jnp.arange(plan.width)

        def add(index, total, down, across):
            tap, start = _split(index, blocks)
            i, j = _split(tap, across.number)
            place, inside = plan.address(
                example, row * plan.strides[0] + down.offset + i * down.step,
                column * plan.strides[1] + across.offset + j * across.step, real,
            )  # fmt: skip
            channels = start * plan.block + jnp.arange(plan.block)
            known = channels < plan.channels
            base = (group * (plan.examples * plan.size[0] * plan.size[1]) + place) * plan.channels
            left = triton.load(
                values_ref.at[base[:, None] + channels[None, :]], mask=inside[:, None] & known[None, :], other=0.0
            )
            tap = (down.first + i * down.stride) * geometry.kernel[1] + across.first + j * across.stride
            matrix = (group * geometry.kernel[0] * geometry.kernel[1] + tap) * plan.channels
            right = triton.load(
                matrices_ref.at[((matrix + channels) * plan.features)[:, None] + features[None, :]],
                mask=known[:, None] & (features < plan.features)[None, :], other=0.0,
            )  # fmt: skip
            return total + _product(left, right)

        for (down, across), (first_row, first_column) in phases:
            total = jnp.zeros((plan.tile, plan.width), jnp.float32)
            # A loop, for taps one after another in the program take half a minute to compile.
            count = down.number * across.number * blocks
            total = lax.fori_loop(0, count, partial(add, down=down, across=across), total) if count else total
            there = row * spread[0] + first_row, column * spread[1] + first_column
            written = real & (there[0] < size[0]) & (there[1] < size[1])
            place = ((group * plan.examples + example) * size[0] + there[0]) * size[1] + there[1]
            _store(results_ref, place, features, plan.features, written, total)

    shape = (groups, plan.examples, *size, plan.features)
    dtype = values.dtype
    grid = (groups, -(-plan.count // plan.tile), -(-plan.features // plan.width))
    run = _call(program, grid, groups * plan.examples * size[0] * size[1] * plan.features, dtype, interpret)
    return run(values.reshape(-1), matrices.reshape(-1)).reshape(shape)


def kernel(inputs: Array, results: Array, geometry: Geometry, interpret: bool = False) -> Array:
    """[G, N, H, W, C], [G, N, H', W', D] -> [G, kh, kw, C, D], summed in parts where there are few groups."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    groups, examples, *_, channels = inputs.shape
    features, (down, across) = results.shape[-1], geometry.kernel
    plan = _Plan(examples, geometry.outputs, geometry.inputs, geometry.strides, channels, features, 64)
    blocks, widths, tiles = -(-channels // plan.block), -(-features // plan.width), -(-plan.count // plan.tile)
    parts = max(1, min(tiles, WANTED // (groups * down * blocks * widths)))
    share = -(-tiles // parts)

    def program(inputs_ref, results_ref, sums_ref):
        group, place, part = (pl.program_id(axis) for axis in range(3))
        tap_row, rest = place // (blocks * widths), place % (blocks * widths)
        channel = rest // widths * plan.block + jnp.arange(plan.block)
        feature = rest % widths * plan.width + jnp.arange(plan.width)

        def add(step, totals):
            example, row, column, real = plan.rows((part * share + step) * plan.tile)
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
            _store(sums_ref, matrix * channels + channel, feature, features, channel < channels, total)

    shape = (parts, groups, down, across, channels, features)
    run = _call(
        program, (groups, down * blocks * widths, parts), parts * groups * down * across * channels * features,
        jnp.float32, interpret,
    )  # fmt: skip
    return run(inputs.reshape(-1), results.reshape(-1)).reshape(shape).sum(0).astype(inputs.dtype)


def _store(ref, rows, columns, width, real, values):
    """Write [M, D] to those rows and columns of a matrix [., width] that are real, and are columns."""
    from jax.experimental.pallas import triton

    mask = real[:, None] & (columns < width)[None, :]
    # What is not written has an address of no array: in a simulation, an address that is shared would race.
    address = jnp.where(real, rows * width, ref.shape[0])[:, None] + columns[None, :]
    if width % len(columns):
        address = jnp.where(mask, address, ref.shape[0])
    triton.store(ref.at[address], values.astype(ref.dtype), mask=mask)


def _call(program, grid, size, dtype, interpret):
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    parameters: Any = None if interpret else triton.CompilerParams(num_warps=4, num_stages=2)
    return pl.pallas_call(
        program,
        grid=grid,
        out_shape=jax.ShapeDtypeStruct((size,), dtype),
        interpret=interpret,
        compiler_params=parameters,
    )


def _product(left, right):
    """[M, K], [K, D] -> [M, D], summed in float32."""
    return lax.dot_general(
        left, right, (((1,), (0,)), ((), ())), precision=lax.Precision.DEFAULT, preferred_element_type=jnp.float32
    )


def _split(index, count: int):
    """(index // count, index % count), which is (index, 0) without a division by 1, for which there is no program."""
    return (index, 0) if count == 1 else (lax.div(index, jnp.int32(count)), lax.rem(index, jnp.int32(count)))


def _block(channels: int) -> int:
    """Least power of two that holds the channels, at most a tile's."""
    return min(CHANNELS, 1 << (channels - 1).bit_length())
