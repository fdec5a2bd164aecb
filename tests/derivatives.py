"""Slopes of a scalar function of a tree, by differentiation and by differences; for float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax


def slopes(function, params, seed=0, step=1e-6):
    """Slope of a scalar function along a random direction: (by jax.grad, by central differences).

    Rounding leaves about 1e-10 of the difference and curvature 1e-12, so both agree to 1e-6 with room.
    """
    rng = np.random.default_rng(seed)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)
    compiled = jax.jit(jax.value_and_grad(function))  # one program gives the values too
    ahead, behind = (compiled(jax.tree.map(lambda p, d, s=s: p + s * step * d, params, direction))[0] for s in (1, -1))
    return optax.tree.vdot(compiled(params)[1], direction), (ahead - behind) / (2 * step)
