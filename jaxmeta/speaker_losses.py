"""Losses that make embeddings of one class close and of several far apart: for speakers, and anything enrolled.

Each takes a whole batch of embeddings and compares every one with the centroids of all classes in it; its own class's
centroid is that of the others, for no example may vouch for itself. (For support and query sets apart, the learner
`enrolment` with `margin_softmax`.)
"""

import math

import jax
import jax.numpy as jnp

from jaxmeta.losses import cross_entropy
from jaxmeta.types import Array, Loss


def margin_softmax(margin: float = 0.2, scale: float = 30.0) -> Loss:
    """Cross-entropy of scaled cosines, where the target's angle counts as larger by a margin.

    Args:
      margin: in radians, [0, pi); 0 is the softmax of scaled cosines, the angular prototypical loss where the
        cosines are those to prototypes (Chung et al. 2020, arXiv 2003.11982, eq. 5 and 6, whose scale is learned).
      scale: of the cosines, above 0.
    Returns:
      Loss of cosines [N, C] and class indices [N].
    Raises:
      ValueError: an argument out of its range.
    Source: Deng et al. 2019, "ArcFace" (arXiv 1801.07698), eq. 3; beyond angles of pi - margin the target's cosine goes
      on as a straight line, so that it never rises again.

    >>> loss = margin_softmax(margin=0.0, scale=1.0)
    >>> print(np.asarray(loss(np.array([[1.0, 0.0]]), np.array([0]))).round(3))  # cosines of one clip with two speakers
    [0.313]
    """
    _check_scale(scale)
    if not 0 <= margin < math.pi:
        raise ValueError(f"margin_softmax needs margin in [0, pi) radians, got {margin}.")

    def loss(outputs: Array, targets: Array) -> Array:
        # At 1 the angle has no derivative; cosines there cannot be improved, so that nothing is lost.
        cosines = jnp.clip(outputs, -1 + 1e-6, 1 - 1e-6)
        sines = jnp.sqrt(1 - jnp.square(cosines))
        moved = cosines * math.cos(margin) - sines * math.sin(margin)
        moved = jnp.where(cosines > -math.cos(margin), moved, outputs - 1 + math.cos(margin))
        own = jax.nn.one_hot(targets, outputs.shape[-1], dtype=bool)
        return cross_entropy(scale * jnp.where(own, moved, outputs), targets)

    return loss if margin else lambda outputs, targets: cross_entropy(scale * outputs, targets)


def prototypical(ways: int) -> Loss:
    """Cross-entropy of negative squared distances to the centroids, one's own class's without oneself.

    Args:
      ways: number of classes C in a batch; each needs two examples, else the loss of its one is NaN.
    Returns:
      Loss of embeddings [N, E] and class indices [N] in [0, C).
    Source: Snell et al. 2017 (arXiv 1703.05175), eq. 2. Differs: every example is the query once, and support for all
      others.
    """

    def loss(outputs: Array, targets: Array) -> Array:
        others, own = _centroids(outputs, targets, ways)
        distances = jnp.sum(jnp.square(outputs[:, None] - others), axis=-1)
        at_own = jnp.sum(jnp.square(outputs - own), axis=-1)
        return cross_entropy(-_with_own(distances, at_own, targets), targets)

    return loss


def angular_prototypical(ways: int, scale: float = 10.0) -> Loss:
    """Cross-entropy of scaled cosines to the centroids, one's own class's without oneself.

    Arguments as in `prototypical`; scale of the cosines, above 0. This also is the softmax form of the generalised
    end-to-end loss (Wan et al. 2018, eq. 6).

    Source: Chung et al. 2020 (arXiv 2003.11982), eq. 5 and 6. Differs: the scale is fixed, its offset has no effect in
      a softmax and is left out, and every example is the query once.
    """
    _check_scale(scale)
    return lambda outputs, targets: cross_entropy(scale * _cosines(outputs, targets, ways), targets)


def generalised_end_to_end(ways: int, scale: float = 10.0, offset: float = -5.0) -> Loss:
    """The contrast form: 1 - sigmoid(own centroid's score) + the largest sigmoid of another's, for a fixed phrase.

    Scores are scale * cosine + offset, with one's own class's centroid without oneself. Arguments as in `prototypical`.

    Source: Wan et al. 2018 (arXiv 1710.10467), eq. 5, 7, 8 and 9. Differs: scale and offset stay where the paper's
      start.
    """
    _check_scale(scale)

    def loss(outputs: Array, targets: Array) -> Array:
        chances = jax.nn.sigmoid(scale * _cosines(outputs, targets, ways) + offset)
        own = jax.nn.one_hot(targets, ways, dtype=bool)
        return 1 - jnp.sum(jnp.where(own, chances, 0), axis=-1) + jnp.max(jnp.where(own, 0, chances), axis=-1)

    return loss


def _centroids(embeddings: Array, targets: Array, ways: int) -> tuple[Array, Array]:
    """The mean of each class [C, E], and that of each example's own class without it [N, E]; NaN where there is none.

    Raises ValueError where embeddings are not [N, E], or targets not integers [N].
    """
    if embeddings.ndim != 2 or targets.shape != embeddings.shape[:1] or not jnp.issubdtype(targets.dtype, jnp.integer):
        raise ValueError(
            f"embeddings [N, E] and integer classes [N] are needed, got {embeddings.shape} and "
            f"{targets.dtype}{list(targets.shape)}."
        )
    rows = jax.nn.one_hot(targets, ways, dtype=embeddings.dtype)
    sums, counts = rows.T @ embeddings, rows.sum(0)
    means = sums / jnp.where(counts > 0, counts, 1)[:, None]
    others = (counts[targets] - 1)[:, None]
    own = (sums[targets] - embeddings) / jnp.where(others > 0, others, jnp.nan)
    return means, own


def _cosines(embeddings: Array, targets: Array, ways: int) -> Array:
    """Cosines [N, C] of each example to the centroids, one's own class's without oneself."""
    others, own = _centroids(embeddings, targets, ways)
    to_own = jnp.sum(unit(embeddings) * unit(own), axis=-1)
    return _with_own(unit(embeddings) @ unit(others).T, to_own, targets)


def _with_own(values: Array, own: Array, targets: Array) -> Array:
    """Values [N, C] with [N] others in the places of the targets."""
    return jnp.where(jax.nn.one_hot(targets, values.shape[-1], dtype=bool), own[:, None], values)


def unit(vectors: Array) -> Array:
    """Vectors [..., E] over their length; zeros stay zeros, and have a gradient of zero there.

    >>> print(unit(np.array([3.0, 4.0])).round(1))
    [0.6 0.8]
    """
    square = jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)
    return vectors / jnp.sqrt(jnp.where(square > 0, square, 1))


def _check_scale(scale: float) -> None:
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}.")
