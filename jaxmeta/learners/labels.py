"""Class labels of a support set: checked, as one-hot rows, and as the mean of each class."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.types import Array


def check_labels(targets: Array, weight: Array, ways: int, every_class: bool, least: int = 2) -> None:
    """Raise if labels are of the wrong type or, where their values can be seen, of the wrong value.

    Values are seen outside jit and vmap only. Examples of weight 0 may have any label.
    Args:
      targets: class indices [N], integer, in [0, ways).
      weight: [N].
      ways: number of classes.
      every_class: whether each class needs an example.
      least: of the number of classes.
    Raises:
      ValueError: one of these does not hold.
    """
    if ways < least:
        raise ValueError(f"ways must be {least} classes or more, got {ways}.")
    if not jnp.issubdtype(targets.dtype, jnp.integer) or targets.ndim != 1:
        raise ValueError(f"targets must be integer class labels [N], got {targets.dtype}{list(targets.shape)}.")
    if isinstance(targets, jax.core.Tracer) or isinstance(weight, jax.core.Tracer):
        return
    labels = np.asarray(targets)[np.asarray(weight) > 0]
    outside = sorted({int(label) for label in labels if not 0 <= label < ways})
    if outside:
        raise ValueError(
            f"labels must lie in [0, {ways}) for ways={ways}, got {outside}; number the classes of each task from 0."
        )
    missing = sorted(set(range(ways)) - set(labels.tolist()))
    if every_class and missing:
        raise ValueError(
            f"the support set has no example of class {missing} of ways={ways}; sample at least one of each class, "
            "or build the learner with fewer ways."
        )


def one_hot(targets: Array, weight: Array, ways: int, dtype: jnp.dtype, every_class: bool, least: int = 2) -> Array:
    """One-hot rows [N, C] of the labels, 0 where the weight is 0.

    Where `check_labels`, which is called here, cannot see the values, what is wrong becomes NaN: the row of a label
    outside [0, ways) and, with every_class, the column of a class without an example. So the loss of that task is
    NaN, and an update leaves the task out.
    """
    check_labels(targets, weight, ways, every_class, least)
    inside = (targets >= 0) & (targets < ways)
    rows = jnp.where(inside[:, None], jax.nn.one_hot(targets, ways, dtype=dtype), jnp.nan)
    rows = jnp.where(weight[:, None] > 0, rows, 0)
    return jnp.where(jnp.any(rows != 0, axis=0), rows, jnp.nan) if every_class else rows


def class_means(embeddings: Array, targets: Array, weight: Array, ways: int, least: int = 2) -> Array:
    """The weighted mean [C, F] of the embeddings [N, F] of each class.

    Raises:
      ValueError: as `check_labels`, with every_class; where values cannot be seen the means are NaN instead.
    Source: Snell et al. 2017 (arXiv 1703.05175), eq. 1.
    """
    rows = one_hot(targets, weight, ways, embeddings.dtype, every_class=True, least=least)
    rows *= weight[:, None].astype(embeddings.dtype)
    return rows.T @ embeddings / jnp.sum(rows, axis=0)[:, None]
