"""Pruning single weights: which of them stay, and keeping the others at zero while a network learns.

    masks = magnitude(params, 0.8)
    params = masked(params, masks)
    optimizer = optax.chain(optax.adam(1e-3), hold(masks))    # an inner optimizer as well as an outer one

Masks are trees like the weights, of booleans: True stays. Biases, scales and other vectors always do; `prunable` says
what does not. Whole channels are pruned in `channels.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmeta import tree
from jaxmeta.types import Array, PyTree

Prunable = Callable[[str, Array], bool]
"""(path, leaf) -> whether its weights may go."""
Masks = PyTree


def is_matrix(path: str, leaf: Array) -> bool:
    """Whether a leaf has two axes or more, as kernels have."""
    return leaf.ndim >= 2


def magnitude(
    params: PyTree, sparsity: Any, scope: Literal["global", "layer"] = "global", prunable: Prunable = is_matrix
) -> Masks:
    """Masks of the largest weights.

    Args:
      params: weights.
      sparsity: share of the prunable weights that go, [0, 1); may be traced. The count is rounded to the nearest.
      scope: "global" compares all prunable weights with each other, "layer" those of each leaf.
      prunable: which leaves.
    Raises:
      ValueError: a sparsity out of range where it is known, an unknown scope, or nothing is prunable.
    Source: Han et al. 2015 (arXiv 1506.02626), section 3, by rank instead of by a threshold.

    >>> magnitude({"kernel": np.array([[1.0, -4.0], [0.1, 2.0]])}, sparsity=0.5)["kernel"].tolist()
    [[False, True], [False, True]]
    """
    if not isinstance(sparsity, jax.core.Tracer) and not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must lie in [0, 1), got {sparsity}.")
    if scope not in ("global", "layer"):
        raise ValueError(f"scope must be 'global' or 'layer', got {scope!r}.")
    chosen = _chosen(params, prunable)
    if scope == "layer":
        return _map(lambda leaf: _largest(jnp.abs(leaf).ravel(), sparsity).reshape(leaf.shape), params, chosen)
    leaves = [leaf for leaf, goes in zip(jax.tree.leaves(params), chosen, strict=True) if goes]
    remaining = _largest(jnp.concatenate([jnp.abs(leaf).ravel() for leaf in leaves]), sparsity)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = iter(jnp.split(remaining, ends))
    return _map(lambda leaf: next(parts).reshape(leaf.shape), params, chosen)


def above(params: PyTree, threshold: float, prunable: Prunable = is_matrix) -> Masks:
    """Masks of the weights of at least this magnitude, 0 or more.

    Raises:
      ValueError: a negative threshold, or nothing is prunable.
    """
    if threshold < 0:
        raise ValueError(f"threshold must be 0 or more, got {threshold}.")
    return _map(lambda leaf: jnp.abs(leaf) >= threshold, params, _chosen(params, prunable))


def n_of_m(params: PyTree, n: int, m: int, prunable: Prunable = is_matrix) -> Masks:
    """Masks of the n largest of every m weights that follow each other along a kernel's inputs, its axis before last.

    Args:
      params: weights.
      n: that stay, 1 to m.
      m: size of a group; 2 of 4 is what sparse tensor cores multiply.
      prunable: which leaves.
    Raises:
      ValueError: n or m out of range; a prunable leaf whose inputs are no multiple of m, with its path.
    Source: Mishra et al. 2021 (arXiv 2104.08378), section 3.
    """
    if not 1 <= n <= m:
        raise ValueError(f"n must lie in [1, m], got n={n} and m={m}.")
    for (path, leaf), goes in zip(tree.named(params).items(), _chosen(params, prunable), strict=True):
        if goes and leaf.shape[-2] % m:
            raise ValueError(
                f"n_of_m(m={m}) needs inputs in multiples of m, got {path} of shape {leaf.shape}; leave it out with "
                "prunable."
            )

    def groups(leaf: Array) -> Array:
        last = jnp.moveaxis(jnp.abs(leaf), -2, -1)
        remaining = _ranks(last.reshape(*last.shape[:-1], -1, m)) >= m - n
        return jnp.moveaxis(remaining.reshape(last.shape), -1, -2)

    return _map(groups, params, _chosen(params, prunable))


def masked(params: PyTree, masks: Masks) -> PyTree:
    """The weights with zeros where the masks are False; also rewinding, where the weights are those of before.

    >>> masked({"kernel": np.array([1.0, 2.0])}, {"kernel": np.array([True, False])})["kernel"].tolist()
    [1.0, 0.0]
    """
    return jax.tree.map(lambda leaf, mask: jnp.where(mask, leaf, 0), params, masks)


def hold(masks: Masks) -> optax.GradientTransformation:
    """Moves no pruned weight: chain it behind an inner or an outer optimizer.

    Where only some leaves are moved (None in the place of the others), the masks are those of all leaves.
    """

    def update(updates: PyTree, params: PyTree | None) -> PyTree:
        return jax.tree.map(
            lambda move, mask: None if move is None else jnp.where(mask, move, 0),
            updates, masks, is_leaf=lambda leaf: leaf is None,
        )  # fmt: skip

    return optax.stateless(update)


class PruningState(NamedTuple):
    """Of `pruning`."""

    step: Array
    """int32, updates so far."""
    masks: Masks


def pruning(
    schedule: Callable[[Array], Any], every: int = 100, scope: Literal["global", "layer"] = "global",
    prunable: Prunable = is_matrix,
) -> optax.GradientTransformation:  # fmt: skip
    """Prunes more and more while a network learns: chain it behind the outer optimizer, and train on.

    The masks of an update are chosen by magnitude every `every` updates, the first included; its weights are theirs.

    Args:
      schedule: step -> sparsity, such as `cubic` or, for all at once, `optax.constant_schedule`.
      every: updates from one choice of masks to the next, 1 or more.
      scope, prunable: as in `magnitude`.
    """
    if every < 1:
        raise ValueError(f"every must be 1 or more, got {every}.")

    def init(params: PyTree) -> PruningState:
        return PruningState(jnp.zeros((), jnp.int32), jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), params))

    def update(updates: PyTree, state: PruningState, params: PyTree | None = None):
        if params is None:
            raise ValueError("pruning needs the weights: call update(gradients, state, params).")
        masks = jax.lax.cond(
            state.step % every == 0,
            lambda: magnitude(params, schedule(state.step), scope, prunable),
            lambda: state.masks,
        )  # fmt: skip
        updates = jax.tree.map(lambda move, leaf, mask: jnp.where(mask, move, -leaf), updates, params, masks)
        return updates, PruningState(state.step + 1, masks)

    return optax.GradientTransformation(init, update)


def cubic(final: float, begin: int, end: int, initial: float = 0.0) -> Callable[[Any], Array]:
    """A schedule of sparsity that rises fast at first, and slowly where little is left.

    Args:
      final: sparsity from step `end` on, [0, 1).
      begin, end: steps; begin < end.
      initial: sparsity up to step `begin`.
    Raises:
      ValueError: a sparsity out of range, or no steps between begin and end.
    Source: Zhu and Gupta 2017 (arXiv 1710.01878), eq. 1.
    """
    if not 0 <= initial <= final < 1:
        raise ValueError(f"0 <= initial <= final < 1 must hold, got {initial} and {final}.")
    if not 0 <= begin < end:
        raise ValueError(f"0 <= begin < end must hold, got {begin} and {end}.")

    def sparsity(step: Any) -> Array:
        left = 1 - jnp.clip((step - begin) / (end - begin), 0, 1)
        return final + (initial - final) * left**3

    return sparsity


def lottery_ticket(
    train: Callable[[PyTree, Masks], PyTree],
    rewind_to: PyTree,
    sparsity: float,
    rounds: int,
    scope: Literal["global", "layer"] = "global",
    prunable: Prunable = is_matrix,
) -> tuple[PyTree, Masks]:
    """Train, prune, go back to early weights, and again: the weights that stay, as they were, and their masks.

    Args:
      train: (weights, masks) -> trained weights; it has to hold the masks.
      rewind_to: weights of the start of training, or of a little later.
      sparsity: at the end; each round takes the same share of what is left.
      rounds: 1 or more.
      scope, prunable: as in `magnitude`.
    Returns:
      (rewound weights, masks); training them once more gives the sparse network.
    Sources: Frankle and Carbin 2019 (arXiv 1803.03635); rewinding: Frankle et al. 2020 (arXiv 1912.05671).
    """
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more, got {rounds}.")
    masks = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), rewind_to)
    for number in range(1, rounds + 1):
        trained = masked(train(masked(rewind_to, masks), masks), masks)
        masks = magnitude(trained, 1 - (1 - sparsity) ** (number / rounds), scope, prunable)
    return masked(rewind_to, masks), masks


def report(params: PyTree) -> list[Mapping[str, Any]]:
    """A row for every leaf, and one for all: weights, share of zeros, and bytes as they are and stored sparsely.

    Stored sparsely, a leaf takes a bit for every weight and the weights that are not zero; or all of them, where that
    is less.
    """
    rows = [_row(path, np.asarray(leaf)) for path, leaf in tree.named(params).items()]
    total = {key: sum(row[key] for row in rows) for key in ("weights", "zeros", "bytes", "sparse_bytes")}
    rows.append({"leaf": "all"} | total)
    return [row | {"sparsity": row["zeros"] / max(row["weights"], 1)} for row in rows]


def sparse_bytes(leaf: Any, bits: int) -> int:
    """Of a leaf whose numbers take this many bits each: a bit for every number, and those that are not 0; or all."""
    nonzero = int(jnp.count_nonzero(leaf))
    return min(-(-leaf.size * bits // 8), -(-leaf.size // 8) + -(-nonzero * bits // 8))


def _row(path: str, leaf: np.ndarray) -> dict[str, Any]:
    zeros = leaf.size - int(np.count_nonzero(leaf))
    return {
        "leaf": path, "weights": leaf.size, "zeros": zeros, "bytes": leaf.nbytes,
        "sparse_bytes": sparse_bytes(leaf, 8 * leaf.itemsize),
    }  # fmt: skip


def _largest(sizes: Array, sparsity: Any) -> Array:
    """Mask [W] of all but the smallest share of sizes [W]."""
    return _ranks(sizes) >= jnp.round(sparsity * sizes.size)


def _ranks(sizes: Array) -> Array:
    """The rank of each along the last axis, 0 for the smallest; equal ones in their order."""
    return jnp.argsort(jnp.argsort(sizes, axis=-1), axis=-1)


def _chosen(params: PyTree, prunable: Prunable) -> list[bool]:
    chosen = [prunable(path, leaf) for path, leaf in tree.named(params).items()]
    if not any(chosen):
        raise ValueError(f"prunable chooses none of {', '.join(tree.paths(params))}.")
    return chosen


def _map(mask: Callable[[Array], Array], params: PyTree, chosen: list[bool]) -> Masks:
    leaves, structure = jax.tree.flatten(params)
    masks = [mask(leaf) if goes else jnp.ones(leaf.shape, bool) for leaf, goes in zip(leaves, chosen, strict=True)]
    return jax.tree.unflatten(structure, masks)
