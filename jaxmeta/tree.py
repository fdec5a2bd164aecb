"""Operations on pytrees that more than one module needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxmeta.types import Array, PyTree


def partition(tree: PyTree, predicate: Callable[[str], bool]) -> tuple[PyTree, PyTree]:
    """Split a tree in two of the same structure, with None in the place of what the other half holds.

    Args:
      tree: any pytree without None leaves.
      predicate: called with each leaf's path ("body/conv_0/kernel"); True puts the leaf in the first half.

    >>> partition({"body": 1, "head": {"bias": 2}}, Under("head"))
    ({'body': None, 'head': {'bias': 2}}, {'body': 1, 'head': {'bias': None}})
    """
    chosen = jax.tree_util.tree_map_with_path(lambda path, _: predicate(leaf_path(path)), tree)
    selected = jax.tree.map(lambda keep, leaf: leaf if keep else None, chosen, tree)
    rest = jax.tree.map(lambda keep, leaf: None if keep else leaf, chosen, tree)
    return selected, rest


@dataclass(frozen=True)
class Under:
    """A predicate for `partition`: leaves with `name` among the components of their path.

    >>> Under("head")("head/bias"), Under("head")("body/kernel")
    (True, False)
    """

    name: str

    def __call__(self, path: str) -> bool:
        return self.name in path.split("/")


@dataclass(frozen=True)
class Outside:
    """A predicate for `partition`: leaves without `name` among the components of their path.

    >>> Outside("head")("head/bias"), Outside("head")("body/kernel")
    (False, True)
    """

    name: str

    def __call__(self, path: str) -> bool:
        return self.name not in path.split("/")


def everything(path: str) -> bool:
    """A predicate for `partition`: every leaf."""
    return True


def merge(selected: PyTree, rest: PyTree) -> PyTree:
    """Undo `partition`: every None of `selected` is filled from `rest`.

    >>> merge({"body": None, "head": 2}, {"body": 1, "head": None})
    {'body': 1, 'head': 2}
    """
    return jax.tree.map(lambda a, b: b if a is None else a, selected, rest, is_leaf=lambda leaf: leaf is None)


def named(tree: PyTree) -> dict[str, Any]:
    """Every leaf by its path, as `partition` spells it.

    >>> named({"body": {"kernel": 1}, "head": 2})
    {'body/kernel': 1, 'head': 2}
    """
    return {leaf_path(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def paths(tree: PyTree) -> list[str]:
    """The path of every leaf, as `partition` spells it.

    >>> paths({"body": {"kernel": 1}, "head": 2})
    ['body/kernel', 'head']
    """
    return list(named(tree))


def leaf_path(path: tuple) -> str:
    """A key path of jax.tree_util as "outer/inner/leaf"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def all_finite(tree: PyTree) -> Array:
    """Scalar bool: no leaf holds a NaN or an infinity.

    >>> bool(all_finite({"a": np.ones(2), "b": np.array([1.0, np.nan])}))
    False
    """
    checks = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(checks)) if checks else jnp.array(True)


def flat(tree: PyTree) -> Array:
    """All leaves in one vector. What reads it is one program; each shape of leaves would need its own.

    >>> flat({"a": np.ones(2), "b": np.zeros((1, 1))}).tolist()
    [1.0, 1.0, 0.0]
    """
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def where(condition: Array, if_true: PyTree, if_false: PyTree) -> PyTree:
    """Choose one of two trees of the same structure by a scalar condition."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), if_true, if_false)


def concatenate(*trees: PyTree) -> PyTree:
    """Join trees of arrays along the leading axis of every leaf, which must agree in all other axes.

    >>> concatenate({"a": np.ones(1)}, {"a": np.zeros(2)})["a"].tolist()
    [1.0, 0.0, 0.0]
    """
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


def squared_distance(first: PyTree, second: PyTree) -> Array:
    """Sum over all leaves of the squared difference of two trees.

    >>> float(squared_distance({"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, 5.0])}))
    9.0
    """
    return sum(
        (jnp.sum(jnp.square(a - b)) for a, b in zip(*map(jax.tree.leaves, (first, second)), strict=True)), jnp.zeros(())
    )


def take(tree: PyTree, index: Array) -> PyTree:
    """Index the leading axis of every leaf.

    >>> take({"a": np.array([[1, 2], [3, 4]])}, 1)["a"].tolist()
    [3, 4]
    """
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], tree)


def leading_size(tree: PyTree) -> int:
    """The common size of the leading axis of every leaf.

    Raises:
      ValueError: leaves disagree, or there is no leaf.

    >>> leading_size({"a": np.zeros((4, 2)), "b": np.zeros(4)})
    4
    """
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(tree)]
    if not shapes or len({shape[:1] for shape in shapes}) != 1 or not shapes[0]:
        raise ValueError(f"every leaf needs the same leading axis, got shapes {shapes}.")
    return shapes[0][0]
