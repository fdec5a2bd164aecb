"""The programs of `convolution_kernels` for few channels, as a first layer has: all taps are one product.

Sixteen or more numbers of a product are the taps and channels of a place together, gathered by their addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from jaxmeta.models.convolution_kernels import ROWS, WANTED, Plan, call, product, product_over_rows, store
from jaxmeta.types import Array

if TYPE_CHECKING:
    from jaxmeta.models.convolution import _Geometry as Geometry

MOST = 64
"""Taps times channels of a product."""


def size(channels: int, geometry: Geometry) -> int:
    """Taps times channels."""
    return channels * geometry.kernel[0] * geometry.kernel[1]


def outputs(inputs: Array, kernel: Array, geometry: Geometry, interpret: bool = False) -> Array:
    """[G, N, H, W, C], [G, kh, kw, C, D] -> [G, N, H', W', D]."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    fold = _Fold(inputs, kernel.shape[-1], geometry)
    plan, groups = fold.plan, len(inputs)

    def program(inputs_ref, kernel_ref, results_ref):
        group, tile, part = (pl.program_id(axis) for axis in range(3))
        example, row, column, real = plan.rows(tile * ROWS)
        feature = part * plan.width + jnp.arange(plan.width)
        address, inside = fold.addresses(group, example, row, column, real)
        left = triton.load(inputs_ref.at[address], mask=inside, other=0.0)
        matrix = ((group * fold.size + fold.numbers) * plan.features)[:, None] + feature[None, :]
        there = (fold.numbers < fold.size)[:, None] & (feature < plan.features)[None, :]
        right = triton.load(kernel_ref.at[matrix], mask=there, other=0.0)
        place = group * plan.count + tile * ROWS + jnp.arange(ROWS)
        store(results_ref, place, feature, plan.features, real, product(left, right))

    shape = (groups, plan.examples, *plan.places, plan.features)
    grid = (groups, -(-plan.count // ROWS), -(-plan.features // plan.width))
    run = call(program, grid, groups * plan.count * plan.features, inputs.dtype, interpret)
    return run(inputs.reshape(-1), kernel.reshape(-1)).reshape(shape)


def kernel(inputs: Array, results: Array, geometry: Geometry, interpret: bool = False) -> Array:
    """[G, N, H, W, C], [G, N, H', W', D] -> [G, kh, kw, C, D]."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    fold = _Fold(inputs, results.shape[-1], geometry)
    plan, groups, features = fold.plan, len(inputs), results.shape[-1]
    tiles, widths = -(-plan.count // ROWS), -(-features // plan.width)
    parts = max(1, min(tiles, WANTED // (groups * widths)))
    share = -(-tiles // parts)

    def program(inputs_ref, results_ref, sums_ref):
        group, width, part = (pl.program_id(axis) for axis in range(3))
        feature = width * plan.width + jnp.arange(plan.width)

        def add(step, total):
            first = (part * share + step) * ROWS
            example, row, column, real = plan.rows(first)
            address, inside = fold.addresses(group, example, row, column, real)
            left = triton.load(inputs_ref.at[address], mask=inside, other=0.0)
            place = jnp.where(real, group * plan.count + first + jnp.arange(ROWS), 0) * features
            right = triton.load(
                results_ref.at[place[:, None] + feature[None, :]],
                mask=real[:, None] & (feature < features)[None, :], other=0.0,
            )  # fmt: skip
            return total + product_over_rows(left, right)

        total = lax.fori_loop(0, share, add, jnp.zeros((fold.block, plan.width), jnp.float32))
        number = (part * groups + group) * fold.size + fold.numbers
        store(sums_ref, number, feature, features, fold.numbers < fold.size, total)

    shape = (parts, groups, *geometry.kernel, inputs.shape[-1], features)
    run = call(program, (groups, widths, parts), parts * groups * fold.size * features, jnp.float32, interpret)
    return run(inputs.reshape(-1), results.reshape(-1)).reshape(shape).sum(0).astype(inputs.dtype)


class _Fold:
    """Taps and channels as one axis."""

    def __init__(self, inputs: Array, features: int, geometry: Geometry):
        channels = inputs.shape[-1]
        self.plan = Plan(inputs.shape[1], geometry.outputs, geometry.inputs, geometry.strides, channels, features)
        self.geometry, self.size = geometry, size(channels, geometry)
        self.block = max(16, 1 << (self.size - 1).bit_length())

    @property
    def numbers(self):
        """Of the axis, filled up to a power of two."""
        return jnp.arange(self.block)

    def addresses(self, group, example, row, column, real):
        """[ROWS, taps and channels]: which input each product takes at each place, and which there are."""
        plan, geometry = self.plan, self.geometry
        channels, across = jnp.int32(plan.channels), jnp.int32(geometry.kernel[1])
        tap = self.numbers if plan.channels == 1 else lax.div(self.numbers, channels)
        channel = self.numbers - tap * plan.channels
        down = lax.div(tap, across) if geometry.kernel[1] > 1 else tap
        (top, _), (left, _) = geometry.padding
        place, inside = plan.address(
            example[:, None],
            (row * plan.strides[0] - top)[:, None] + down[None, :],
            (column * plan.strides[1] - left)[:, None] + (tap - down * geometry.kernel[1])[None, :],
            real[:, None] & (self.numbers < self.size)[None, :],
        )
        base = group * (plan.examples * plan.size[0] * plan.size[1])
        return (base + place) * plan.channels + channel[None, :], inside
