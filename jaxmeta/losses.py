"""Losses of the form (outputs, targets) -> [N], losses made of losses, and the only reduction."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmeta.types import Array, Loss


def cross_entropy(outputs: Array, targets: Array) -> Array:
    """Negative log-likelihood of the target class, in nats.

    Args:
      outputs: logits [N, C].
      targets: class indices [N], integer, in [0, C); the loss of one outside is NaN, so that an update leaves its task
        out and counts it as masked.

    >>> print(cross_entropy(np.log([[0.2, 0.8], [0.5, 0.5]]), np.array([1, 0])).round(3))
    [0.223 0.693]
    """
    if outputs.ndim != 2 or targets.shape != outputs.shape[:1]:
        raise ValueError(f"cross_entropy needs outputs [N, C] and targets [N], got {outputs.shape}, {targets.shape}.")
    classes = outputs.shape[1]
    # The log-softmax of the target alone, by a mask: a gather and its derivatives take longer to compile.
    shifted = outputs - jax.lax.stop_gradient(outputs.max(axis=1, keepdims=True))
    chosen = jnp.where(targets[:, None] == jnp.arange(classes), shifted, 0).sum(axis=1)
    losses = jnp.log(jnp.exp(shifted).sum(axis=1)) - chosen
    return jnp.where((targets >= 0) & (targets < classes), losses, jnp.nan)


def squared_error(outputs: Array, targets: Array) -> Array:
    """Squared error of each example, averaged over its own axes.

    Args:
      outputs: predictions [N, ...].
      targets: of the same shape.

    >>> squared_error(np.array([[1.0], [2.0]]), np.array([[0.0], [4.0]])).tolist()
    [1.0, 4.0]
    """
    if outputs.shape != targets.shape:
        raise ValueError(f"squared_error needs equal shapes, got {outputs.shape} and {targets.shape}.")
    return jnp.mean(jnp.square(outputs - targets), axis=tuple(range(1, outputs.ndim)))


def binary_cross_entropy(outputs: Array, targets: Array) -> Array:
    """Negative log-likelihood of independent yes-or-no targets, in nats, averaged over an example's own axes.

    Args:
      outputs: logits of yes, [N] or [N, ...].
      targets: of the same shape, in [0, 1]; values between are probabilities.

    >>> print(binary_cross_entropy(jnp.array([0.0, 100.0]), jnp.array([1.0, 1.0])).round(3))
    [0.693 0.   ]
    """
    if outputs.ndim < 1 or outputs.shape != targets.shape:
        raise ValueError(
            f"binary_cross_entropy needs equal shapes [N, ...], got {outputs.shape} and {targets.shape}; "
            "for class indices use cross_entropy."
        )
    return jnp.mean(optax.sigmoid_binary_cross_entropy(outputs, targets), axis=tuple(range(1, outputs.ndim)))


def class_balanced(loss: Loss, counts: Sequence[int] | np.ndarray) -> Loss:
    """Each example's loss times total / (C counts[target]), so that all classes weigh alike over the counted data.

    The weights average 1 over that data, and are all 1 where the counts are equal.
    Args:
      loss: (outputs, targets [N]) -> [N], over integer classes.
      counts: examples of each class in the training data, [C], each above 0.
    Raises:
      ValueError: a count that is not above 0; at trace time, targets that are not integers [N].
    Source: King and Zeng 2001, "Logistic regression in rare events data", section 4.2 with equal population shares;
      the limit beta -> 1 of Cui et al. 2019 (arXiv 1901.05555).

    >>> loss = class_balanced(cross_entropy, counts=[9, 1])
    >>> print(np.asarray(loss(np.zeros((2, 2)), np.array([0, 1]))).round(3))
    [0.385 3.466]
    """
    frequency = np.asarray(counts, np.float64)
    if frequency.ndim != 1 or not frequency.size or not (np.isfinite(frequency) & (frequency > 0)).all():
        raise ValueError(f"class_balanced needs one count above 0 a class, got counts={counts}; leave out empty ones.")
    weights = frequency.sum() / (frequency.size * frequency)

    def balanced(outputs: Array, targets: Array) -> Array:
        _check_classes("class_balanced", targets)
        values = loss(outputs, targets)
        return values * jnp.asarray(weights, values.dtype).at[targets].get(mode="fill", fill_value=jnp.nan)

    return balanced


def label_smoothed(loss: Loss, amount: float) -> Loss:
    """The loss against a target that is mixed with the uniform one: (1 - amount) of the class, amount of all classes.

    Args:
      loss: (outputs [N, C], targets [N]) -> [N], over integer classes; evaluated once for each class.
      amount: share a of the uniform target, in [0, 1); for `cross_entropy` the result is
        -(1 - a) log p_target - a / C times the sum over c of log p_c.
    Raises:
      ValueError: amount outside [0, 1); at trace time, targets that are not integers [N].
    Source: Szegedy et al. 2016 (arXiv 1512.00567), section 7.

    >>> loss = label_smoothed(cross_entropy, 0.1)
    >>> print(np.asarray(loss(jnp.log(jnp.array([[0.9, 0.1]])), jnp.array([0]))).round(3))
    [0.215]
    """
    if not 0 <= amount < 1:
        raise ValueError(f"label_smoothed needs amount in [0, 1), got {amount}.")

    def smoothed(outputs: Array, targets: Array) -> Array:
        _check_classes("label_smoothed", targets)
        classes = jnp.arange(outputs.shape[-1], dtype=targets.dtype)
        uniform = jax.vmap(lambda each: loss(outputs, jnp.full_like(targets, each)))(classes)
        return (1 - amount) * loss(outputs, targets) + amount * jnp.mean(uniform, axis=0)

    return smoothed


def weighted_mean(values: Array, weight: Array) -> Array:
    """Mean of [N] values where weight 0 marks padding; 0 if every weight is 0.

    >>> float(weighted_mean(np.array([1.0, 3.0, np.nan]), np.array([1.0, 1.0, 0.0])))
    2.0
    """
    total = jnp.sum(weight)
    return jnp.sum(jnp.where(weight > 0, values * weight, 0)) / jnp.where(total > 0, total, 1)


def _check_classes(name: str, targets: Array) -> None:
    if targets.ndim != 1 or not jnp.issubdtype(targets.dtype, jnp.integer):
        raise ValueError(f"{name} needs integer classes [N] as targets, got {targets.dtype}{list(targets.shape)}.")
