"""Quantisation of weights: uniform affine codes of 8 or 4 bits, and the weights that they stand for.

    small = quantise_params(params)            # kernels as int8, one step size a channel; the rest as it was
    params = dequantise_params(small)

A code q stands for scale * (q - zero). Zero is always exact, so that what was pruned stays so.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta import tree
from jaxmeta.compress.prune import Prunable, is_matrix, sparse_bytes
from jaxmeta.types import Array, PyTree


@functools.partial(jax.tree_util.register_dataclass)
@dataclass(frozen=True)
class Quantised:
    """An array as codes."""

    codes: Array
    """int8 in the shape of the array, or uint8 with two codes of 4 bits a byte, [ceil(size / 2)]."""
    scale: Array
    """float, of one step; broadcasts to the array."""
    zero: Array
    """int8, the code of 0; broadcasts to the array. All 0 where codes are symmetric."""
    bits: int = field(metadata={"static": True})
    shape: tuple[int, ...] = field(metadata={"static": True})

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales and codes of 0."""
        return sum(leaf.size * leaf.dtype.itemsize for leaf in (self.codes, self.scale, self.zero))


def quantise(array: Array, bits: int = 8, axis: int | None = -1, symmetric: bool = True) -> Quantised:
    """The nearest codes of an array of floats.

    Args:
      array: any shape with at least one number.
      bits: 8 or 4.
      axis: the axis of channels, each with its own scale; None: one scale for all.
      symmetric: steps on both sides of 0 to the largest magnitude; else from the smallest to the largest number, 0
        included.
    Raises:
      ValueError: another number of bits, no such axis, or numbers that are not finite.
    Source: Jacob et al. 2018 (arXiv 1712.05877), eq. 1; the symmetric form leaves out the lowest code.

    >>> codes = quantise(np.array([[-1.0, 0.5, 1.0]]), bits=8, axis=None)
    >>> dequantise(codes).round(2).tolist()
    [[-1.0, 0.5, 1.0]]
    """
    if bits not in (4, 8):
        raise ValueError(f"bits must be 8 or 4, got {bits}.")
    if axis is not None and not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis={axis} is none of an array of shape {array.shape}; None gives one scale for all.")
    if not isinstance(array, jax.core.Tracer) and not bool(jnp.isfinite(array).all()):
        raise ValueError("array holds numbers that are not finite; quantise weights that were trained without them.")
    others = tuple(range(array.ndim)) if axis is None else tuple(i for i in range(array.ndim) if i != axis % array.ndim)
    half = 2 ** (bits - 1)
    if symmetric:
        scale = jnp.abs(array).max(axis=others, keepdims=True) / (half - 1)
        zero = jnp.zeros_like(scale)
    else:
        low = jnp.minimum(array.min(axis=others, keepdims=True), 0)
        scale = (jnp.maximum(array.max(axis=others, keepdims=True), 0) - low) / (2 * half - 1)
        zero = jnp.round(-half - low / jnp.where(scale == 0, 1, scale))
    return encode(array, jnp.where(scale == 0, 1, scale), zero, bits)  # 1 for a channel that is all 0


def encode(array: Array, scale: Array, zero: Array, bits: int) -> Quantised:
    """The nearest codes on a given grid: scale and zero broadcast to the array."""
    half = 2 ** (bits - 1)
    codes = jnp.clip(jnp.round(array / scale) + zero, -half, half - 1).astype(jnp.int8)
    codes = codes if bits == 8 else _pack(codes)
    return Quantised(codes, scale, zero.astype(jnp.int8), bits, array.shape)


def dequantise(quantised: Quantised) -> Array:
    """The array that codes stand for, in the type of their scale."""
    codes = quantised.codes if quantised.bits == 8 else _unpack(quantised.codes, quantised.shape)
    return (codes.astype(quantised.scale.dtype) - quantised.zero) * quantised.scale


def quantise_params(
    params: PyTree, bits: int = 8, per_channel: bool = True, symmetric: bool = True, chosen: Prunable = is_matrix
) -> PyTree:
    """Weights with a `Quantised` in the place of every chosen leaf.

    Args:
      params: weights.
      bits, symmetric: as in `quantise`.
      per_channel: one scale for every output, which is a kernel's last axis; else one for each leaf.
      chosen: (path, leaf) -> whether it is quantised.
    Raises:
      ValueError: as `quantise`, with the path; or nothing is chosen.
    """
    axis = -1 if per_channel else None

    def quantised(path: str, leaf: Array) -> Any:
        if not chosen(path, leaf):
            return leaf
        try:
            return quantise(leaf, bits, axis, symmetric)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    codes = jax.tree_util.tree_map_with_path(lambda path, leaf: quantised(tree.leaf_path(path), leaf), params)
    if not any(map(_is_quantised, jax.tree.leaves(codes, is_leaf=_is_quantised))):
        raise ValueError(f"chosen takes none of {', '.join(tree.paths(params))}.")
    return codes


def dequantise_params(params: PyTree) -> PyTree:
    """The weights that `quantise_params` made codes of; float leaves stay as they are."""
    return jax.tree.map(
        lambda leaf: dequantise(leaf) if _is_quantised(leaf) else leaf, params, is_leaf=_is_quantised
    )  # fmt: skip


def stored_bytes(params: PyTree) -> int:
    """Bytes of all leaves, codes or not, sparsely stored where that is less, without names and shapes."""
    return sum(map(_stored, jax.tree.leaves(params, is_leaf=_is_quantised)))


def _stored(leaf: Any) -> int:
    if not _is_quantised(leaf):
        return sparse_bytes(leaf, 8 * leaf.dtype.itemsize)
    return sparse_bytes(dequantise(leaf), leaf.bits) + leaf.scale.nbytes + sparse_bytes(leaf.zero, 8)


def report(params: PyTree, quantised: PyTree) -> list[Mapping[str, Any]]:
    """A row for every leaf: bytes before and after, and the errors of its codes.

    Args:
      params: weights.
      quantised: what `quantise_params` made of them.
    Returns:
      Rows with leaf, bits (32 where there are no codes), bytes, stored, the largest error in steps (at most 0.5), and
      the root of the mean squared error over that of the weights.
    """
    rows: list[Mapping[str, Any]] = []
    after = jax.tree.leaves(quantised, is_leaf=_is_quantised)
    for (path, leaf), codes in zip(tree.named(params).items(), after, strict=True):
        row = {"leaf": path, "bits": 8 * leaf.dtype.itemsize, "bytes": leaf.nbytes, "stored": codes.nbytes}
        if _is_quantised(codes):
            error = np.asarray(dequantise(codes) - leaf)
            size = float(np.sqrt(np.mean(np.square(leaf))))
            row |= {
                "bits": codes.bits, "steps": float(np.abs(error / codes.scale).max()),
                "relative": float(np.sqrt(np.mean(np.square(error)))) / max(size, 1e-30),
            }  # fmt: skip
        rows.append(row)
    return rows


def clipped(params: PyTree, low: float, high: float, chosen: Prunable = is_matrix) -> PyTree:
    """Chosen weights cut off at low and high. Raises ValueError where low is not below high."""
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}.")
    return _map(lambda leaf: jnp.clip(leaf, low, high), params, chosen)


def clipped_to_percentile(params: PyTree, percentile: float, chosen: Prunable = is_matrix) -> PyTree:
    """Chosen weights cut off at this percentile, (0, 100], of the magnitudes of their leaf.

    A few large weights otherwise make every step large.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must lie in (0, 100], got {percentile}.")

    def cut(leaf: Array) -> Array:
        most = jnp.percentile(jnp.abs(leaf), percentile)
        return jnp.clip(leaf, -most, most)

    return _map(cut, params, chosen)


def _map(change: Callable[[Array], Array], params: PyTree, chosen: Prunable) -> PyTree:
    def changed(path: Sequence[Any], leaf: Array) -> Array:
        return change(leaf) if chosen(tree.leaf_path(tuple(path)), leaf) else leaf

    return jax.tree_util.tree_map_with_path(changed, params)


def _is_quantised(leaf: Any) -> bool:
    return isinstance(leaf, Quantised)


def _pack(codes: Array) -> Array:
    """Codes of 4 bits, two in a byte, the first in the lower half."""
    flat = codes.ravel().astype(jnp.uint8) & 15
    flat = jnp.pad(flat, (0, flat.size % 2))
    return flat[::2] | (flat[1::2] << 4)


def _unpack(packed: Array, shape: tuple[int, ...]) -> Array:
    both = jnp.stack([packed & 15, packed >> 4], axis=-1).ravel()[: int(np.prod(shape))]
    return jnp.where(both > 7, both.astype(jnp.int8) - 16, both.astype(jnp.int8)).reshape(shape)
