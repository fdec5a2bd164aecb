"""Structured pruning: whole channels and units, whose arrays then really are smaller.

    groups = recogniser_groups(params)
    masks = channel_masks(params, groups, 0.5)                 # to be trained with, under `prune.hold`
    params, widths = shrink(masked(params, masks), masks, groups)
    model = recogniser(classes, "gru", "small", widths=widths)  # computes what the masked network does

A channel is more than a column of one kernel: what reads it, its bias and its scale go with it. Groups say where all of
these lie; `coupled.py` knows them for the networks of this package.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta import tree
from jaxmeta.compress.prune import Masks
from jaxmeta.types import Array, PyTree


class Part(NamedTuple):
    """Where the channels of a group lie in one leaf."""

    path: str
    axis: int
    positions: np.ndarray
    """[C, k] along the axis: channel c owns positions[c]."""


class ChannelGroup(NamedTuple):
    """Channels, each of which is there in all of its parts or in none."""

    name: str
    """The layer, as the model's `widths` calls it; groups of one name keep equally many channels."""
    parts: tuple[Part, ...]
    """The kernel that makes the channels first."""

    @property
    def channels(self) -> int:
        """C."""
        return len(self.parts[0].positions)


def channel_masks(params: PyTree, groups: Sequence[ChannelGroup], sparsity: float) -> Masks:
    """Masks without the weakest channels of every group, in all of their parts.

    Args:
      params: weights.
      groups: of channels.
      sparsity: share of the channels of each group that go, [0, 1), rounded to the nearest; one always stays.
    Raises:
      ValueError: a sparsity out of range, or a group that does not fit the weights, with its path.
    Source: Fang et al. 2023 (arXiv 2301.12900), eq. 7: a channel is as strong as the norm of all weights that go with
      it. Differs: parts are not weighted.
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must lie in [0, 1), got {sparsity}.")
    leaves = _leaves(params, groups)
    masks = {path: np.ones(leaf.shape, bool) for path, leaf in leaves.items()}
    for group in groups:
        strength = sum(
            np.square(np.take(np.asarray(leaves[part.path]), part.positions, part.axis)).sum(
                _axes_but(leaves[part.path].ndim + 1, part.axis)  # the axis became [C, k]
            )
            for part in group.parts
        )
        gone = np.argsort(strength, kind="stable")[: min(round(sparsity * group.channels), group.channels - 1)]
        for part in group.parts:
            np.moveaxis(masks[part.path], part.axis, 0)[part.positions[gone].ravel()] = False
    return jax.tree.unflatten(jax.tree.structure(params), [jnp.asarray(mask) for mask in masks.values()])


def shrink(params: PyTree, masks: Masks, groups: Sequence[ChannelGroup]) -> tuple[PyTree, Mapping[str, int]]:
    """Smaller arrays, without the channels that masks take away whole.

    Args:
      params: weights; what masks take away is not looked at.
      masks: of `channel_masks` for these groups.
      groups: of channels.
    Returns:
      (params, widths): the arrays, and for the model how many channels each group has left.
    Raises:
      ValueError: a group that does not fit the weights, or groups of one name that keep different numbers.
    """
    leaves, held = _leaves(params, groups), _leaves(masks, groups)
    widths: dict[str, int] = {}
    stays = {path: [np.ones(size, bool) for size in leaf.shape] for path, leaf in leaves.items()}
    for group in groups:
        maker = group.parts[0]
        alive: Any = np.asarray(held[maker.path]).any(_axes_but(held[maker.path].ndim, maker.axis))
        remaining = alive[maker.positions].any(axis=1)
        if widths.setdefault(group.name, int(remaining.sum())) != remaining.sum():
            raise ValueError(f"{group.name}: its groups keep {widths[group.name]} and {remaining.sum()} channels.")
        for part in group.parts:
            stays[part.path][part.axis][part.positions[~remaining].ravel()] = False
    arrays = []
    for path, leaf in leaves.items():
        for axis, stay in enumerate(stays[path]):
            leaf = leaf if stay.all() else jnp.take(leaf, np.flatnonzero(stay), axis)
        arrays.append(leaf)
    return jax.tree.unflatten(jax.tree.structure(params), arrays), widths


def _leaves(params: PyTree, groups: Sequence[ChannelGroup]) -> dict[str, Array]:
    leaves = tree.named(params)
    for part in (part for group in groups for part in group.parts):
        if part.path not in leaves:
            raise ValueError(f"groups name {part.path}, which is none of {', '.join(leaves)}.")
        shape = leaves[part.path].shape
        if part.axis >= len(shape) or part.positions.max() >= shape[part.axis]:
            raise ValueError(f"groups do not fit {part.path} of shape {shape}; make them of these very weights.")
    return leaves


def _axes_but(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(ndim) if other != axis)
