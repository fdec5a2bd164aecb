"""Batches that the devices of one or several processes share, and states that all of them have."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmeta import tree
from jaxmeta.training.update import TrainState
from jaxmeta.types import Array, Batch, Episode, PyTree

_LEAST_SHARDED = 2**12
"""Numbers in an array below which it is not worth a gathering to shard it."""


@runtime_checkable
class DrawsParts(Protocol):
    """A sampler that can draw some tasks of a batch without the others."""

    def __call__(self, index: int) -> Episode: ...

    def size(self, index: int) -> int:
        """Tasks in batch `index`."""

    def part(self, index: int, first: int, last: int) -> Episode:
        """Tasks first to last - 1 of batch `index`, padded as the whole batch is."""


class Share(NamedTuple):
    """A batch that lies on several devices."""

    episodes: PyTree
    """Leaves [B, ...], shared by tasks; of one task alone, by its examples."""
    real: Array
    """[B] bool; False marks a task that fills the batch up."""
    wishes: Array
    """[devices, 2] bool: to stop, and to save. What one process wishes, all do."""


def all_devices() -> Mesh:
    """A mesh of the devices of all processes."""
    return jax.make_mesh((jax.device_count(),), ("tasks",), axis_types=(jax.sharding.AxisType.Auto,))


def shared_draw(sampler: Callable[[int], PyTree], mesh: Mesh) -> Callable[[int, bool, bool], Share]:
    """(step, wish to stop, wish to save) -> a batch, of which each process draws only what its devices take.

    The tasks are those of one process, whatever the number of processes. A sampler that is no `DrawsParts` is called
    for the whole batch in each. Where tasks, or the examples of one task alone, do not divide evenly, repetitions of
    the last one, which count for nothing, fill the batch up.
    """

    def draw(step: int, stop: bool, save: bool) -> Share:
        flags = np.tile(np.asarray([stop, save]), (mesh.size, 1))
        parts = isinstance(sampler, DrawsParts) and sampler.size(step) > 1
        whole = None if parts else sampler(step)
        tasks = sampler.size(step) if parts else tree.leading_size(whole)  # type: ignore[attr-defined]
        if tasks == 1:
            real: Any = np.ones(1, bool)
            return Share(_by_examples(whole, mesh), real, _placed(flags, mesh, 0))
        filled = -(-tasks // mesh.size) * mesh.size
        first = 0
        if parts:
            first, last = (min(place, tasks) for place in _own(mesh, filled))
            first = min(first, tasks - 1)
            whole = sampler.part(step, first, max(last, first + 1))  # type: ignore[attr-defined]
        rows = np.minimum(np.arange(filled), tasks - 1) - first
        episodes = jax.tree.map(lambda leaf: _placed(leaf, mesh, 0, rows), whole)
        return Share(episodes, _placed(np.arange(filled) < tasks, mesh, 0), _placed(flags, mesh, 0))

    return draw


def shared_update(update: Callable) -> Callable[[TrainState, Share], tuple[TrainState, dict[str, Array]]]:
    """An update of `make_update(mesh=...)` on a `Share`; its metrics say what some process wishes."""

    def on_share(train: TrainState, share: Share) -> tuple[TrainState, dict[str, Array]]:
        train, metrics = update(train, _without_filling(share.episodes), share.real)
        stop, save = share.wishes.any(axis=0)
        return train, metrics | {"stop": stop, "save": save}

    return on_share


def on_mesh(train: PyTree, mesh: Mesh) -> PyTree:
    """The state on all devices of a mesh; every process must have the same. What lies there already stays as it is."""

    def on(leaf: Any) -> Any:
        there = isinstance(leaf, jax.Array) and isinstance(leaf.sharding, NamedSharding) and leaf.sharding.mesh == mesh
        return leaf if there else _put(leaf, NamedSharding(mesh, PartitionSpec()))

    return jax.tree.map(on, train)


def shard_weights(train: TrainState, mesh: Mesh) -> TrainState:
    """The state with each device of a mesh holding a part of every large array, of weights and of the optimizer.

    Updates gather weights to compute, and leave them sharded: for encoders of which a device cannot hold the weights
    and the optimizer's slots as well as what it computes.
    """

    def part(leaf: Any) -> Any:
        sizes = [size if size % mesh.size == 0 else 0 for size in np.shape(leaf)]
        if np.size(leaf) < _LEAST_SHARDED or not any(sizes):
            return _put(leaf, NamedSharding(mesh, PartitionSpec()))
        return _put(leaf, NamedSharding(mesh, PartitionSpec(*[None] * int(np.argmax(sizes)), mesh.axis_names)))

    sharded = jax.tree.map(part, (train.params, train.optimizer))
    return on_mesh(train, mesh)._replace(params=sharded[0], optimizer=sharded[1])


def placed_like(train: PyTree, like: PyTree) -> PyTree:
    """The state with every array on the devices that the one of `like` is on, in memory of its own."""
    return jax.tree.map(lambda leaf, other: _put(leaf, other.sharding), train, like)


def copied(train: PyTree) -> PyTree:
    """The state in memory of its own."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True) if hasattr(leaf, "dtype") else leaf, train)


def gathered(train: PyTree, mesh: Mesh | None) -> PyTree:
    """The state whole on a device of this process. Where weights are sharded, all processes must call this."""
    if mesh is None:
        return train
    leaves = [leaf for leaf in jax.tree.leaves(train) if isinstance(leaf, jax.Array)]
    if not all(leaf.is_fully_replicated for leaf in leaves):
        train = jax.jit(lambda state: state, out_shardings=NamedSharding(mesh, PartitionSpec()))(train)

    def here(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array):
            return leaf
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(here(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        return leaf.addressable_data(0)

    return jax.tree.map(here, train)


def from_first(values: PyTree) -> PyTree:
    """The values that the first process has, in all of them, bit for bit; other processes give the same structure."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    leaves, structure = jax.tree.flatten(values)
    arrays = [np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for leaf in leaves]
    content = b"".join(array.tobytes() for array in arrays)
    # As integers: sums, by which values are sent, would make 0 of -0.
    packed = np.frombuffer(content + b"\0" * (-len(content) % 4), np.uint32)
    content = np.asarray(broadcast_one_to_all(packed)).astype(np.uint32).tobytes()
    received, start = [], 0
    for leaf, array in zip(leaves, arrays, strict=True):
        value: Any = np.frombuffer(content, array.dtype, array.size, start).reshape(array.shape)
        start += array.nbytes
        received.append(jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf)) if _is_key(leaf) else value)
    return jax.tree.unflatten(structure, received)


def _by_examples(episodes: PyTree, mesh: Mesh) -> PyTree:
    """One task whose examples are shared, filled up; weights, and arrays outside of a Batch, are on all devices."""

    def spread(node: Any) -> Any:
        if not isinstance(node, Batch):
            return _placed(np.asarray(node), mesh, None)
        count = node.weight.shape[1]
        filled = -(-count // mesh.size) * mesh.size
        rows = np.minimum(np.arange(filled), count - 1)
        inputs, targets = jax.tree.map(lambda leaf: _placed(leaf, mesh, 1, rows), (node.inputs, node.targets))
        return Batch(inputs, targets, _placed(node.weight, mesh, None))

    return jax.tree.map(spread, episodes, is_leaf=lambda node: isinstance(node, Batch))


def _without_filling(episodes: PyTree) -> PyTree:
    """Only the examples that there are: what fills an array up would count in the statistics of a batch."""

    def cut(node: Any) -> Any:
        if not isinstance(node, Batch):
            return node
        inputs, targets = jax.tree.map(lambda leaf: leaf[:, : node.weight.shape[1]], (node.inputs, node.targets))
        return Batch(inputs, targets, node.weight)

    return jax.tree.map(cut, episodes, is_leaf=lambda node: isinstance(node, Batch))


def _placed(leaf: Any, mesh: Mesh, axis: int | None, rows: np.ndarray | None = None) -> Array:
    """An array spread over a mesh along an axis, whose element i is row rows[i] of the leaf; None: rows as they are."""
    leaf = np.asarray(leaf)
    rows = np.arange(leaf.shape[axis or 0] if leaf.ndim else 0) if rows is None else rows
    spec = PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, mesh.axis_names)
    shape = leaf.shape if axis is None else (*leaf.shape[:axis], len(rows), *leaf.shape[axis + 1 :])

    def part(index: Any) -> np.ndarray:
        return leaf if axis is None else np.take(leaf, rows[index[axis]], axis)

    return jax.make_array_from_callback(shape, NamedSharding(mesh, spec), part)


def _own(mesh: Mesh, filled: int) -> tuple[int, int]:
    """The first task that a device of this process takes, and the one after the last."""
    places = NamedSharding(mesh, PartitionSpec(mesh.axis_names)).addressable_devices_indices_map((filled,))
    bounds = [place[0].indices(filled)[:2] for place in places.values() if place is not None]
    return min(first for first, _ in bounds), max(last for _, last in bounds)


def _put(leaf: Any, sharding: Any) -> Any:
    if _is_key(leaf):
        data = np.array(jax.random.key_data(leaf))
        spread = jax.make_array_from_callback(data.shape, sharding, lambda index: data[index])
        return jax.random.wrap_key_data(spread, impl=jax.random.key_impl(leaf))
    array = np.array(leaf)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
