"""Tasks of sinusoid regression, the usual first test of a learner, drawn on the device."""

import jax
import jax.numpy as jnp

from jaxmeta.types import Batch, Episode, Key


def sinusoid_tasks(
    key: Key, tasks: int, shots: int, queries: int, frequencies: tuple[float, float] = (1.0, 1.0)
) -> Episode:
    """Points of y = a sin(f x - p) with a ~ U[0.1, 5], p ~ U[0, pi], x ~ U[-5, 5]; leaves [tasks, points, 1].

    Args:
      key: of the draw.
      tasks: sinusoids, each with an amplitude a and a phase p of its own.
      shots: points of a support set.
      queries: points of a query set.
      frequencies: least and most f, which is uniform between them. Li et al. 2017 (arXiv 1707.09835) have 0.8 to 1.2.
    Source: Finn et al. 2017 (arXiv 1703.03400), section 5.1.
    """
    keys = jax.random.split(key, 3)
    amplitude = jax.random.uniform(keys[0], (tasks, 1, 1), minval=0.1, maxval=5.0)
    phase = jax.random.uniform(keys[1], (tasks, 1, 1), maxval=jnp.pi)
    x = jax.random.uniform(keys[2], (tasks, shots + queries, 1), minval=-5.0, maxval=5.0)
    least, most = frequencies
    share = jax.random.uniform(jax.random.fold_in(key, 3), (tasks, 1, 1))
    points = Batch(x, amplitude * jnp.sin((least + (most - least) * share) * x - phase), jnp.ones(x.shape[:2]))
    return Episode(
        support=jax.tree.map(lambda leaf: leaf[:, :shots], points),
        query=jax.tree.map(lambda leaf: leaf[:, shots:], points),
    )
