"""Losses of the form (outputs, targets) -> [N], and the only reduction."""

import jax
import jax.numpy as jnp

from jaxmeta.types import Array


def cross_entropy(outputs: Array, targets: Array) -> Array:
    """Negative log-likelihood of the target class, in nats.

    Args:
      outputs: logits [N, C].
      targets: class indices [N], integer, in [0, C).
    """
    if outputs.ndim != 2 or targets.shape != outputs.shape[:1]:
        raise ValueError(f"cross_entropy needs outputs [N, C] and targets [N], got {outputs.shape}, {targets.shape}.")
    log_probabilities = jax.nn.log_softmax(outputs)
    return -jnp.take_along_axis(log_probabilities, targets[:, None], axis=1)[:, 0]


def squared_error(outputs: Array, targets: Array) -> Array:
    """Squared error of each example, averaged over its own axes.

    Args:
      outputs: predictions [N, ...].
      targets: of the same shape.
    """
    if outputs.shape != targets.shape:
        raise ValueError(f"squared_error needs equal shapes, got {outputs.shape} and {targets.shape}.")
    return jnp.mean(jnp.square(outputs - targets), axis=tuple(range(1, outputs.ndim)))


def weighted_mean(values: Array, weight: Array) -> Array:
    """Mean of [N] values where weight 0 marks padding; 0 if every weight is 0."""
    total = jnp.sum(weight)
    return jnp.sum(jnp.where(weight > 0, values * weight, 0)) / jnp.where(total > 0, total, 1)
