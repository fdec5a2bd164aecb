"""Per-example metrics (outputs, targets) -> [N], and intervals over episodes."""

import jax.numpy as jnp
import numpy as np

from jaxmeta.types import Array


def accuracy(outputs: Array, targets: Array) -> Array:
    """1 where the largest of [N, C] logits is the target's, else 0; a row that is not finite scores 0.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1])).tolist()
    [1.0, 0.0]
    """
    correct = (jnp.argmax(outputs, axis=-1) == targets) & jnp.all(jnp.isfinite(outputs), axis=-1)
    return correct.astype(jnp.result_type(float))


def mean_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Mean over episodes and the half width of its normal-theory confidence interval.

    Args:
      values: one figure per episode, [E] with E >= 2.
      confidence: coverage in (0, 1).
    Raises:
      ValueError: fewer than two values.

    >>> mean, half = mean_interval(np.array([0.0, 1.0, 1.0, 0.0]))
    >>> f"{mean:.2f} +- {half:.2f}"
    '0.50 +- 0.57'
    """
    from statistics import NormalDist  # `import jaxmeta` does not wait for it.

    values = np.asarray(values, np.float64)
    if values.ndim != 1 or values.size < 2:
        raise ValueError(f"mean_interval needs at least two values in one axis, got shape {values.shape}.")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    return float(values.mean()), float(z * values.std(ddof=1) / np.sqrt(values.size))
