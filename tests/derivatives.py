"""Slopes of a scalar function of a tree, by differentiation and by differences; for float64."""

import jax
import numpy as np

from tests.programs import compiled, ravel


def slopes(function, params, seed=0, step=1e-6):
    """Slope of a scalar function along a random direction: (by jax.grad, by central differences).

    Rounding leaves about 1e-10 of the difference and curvature 1e-12, so both agree to 1e-6 with room.
    """
    rng = np.random.default_rng(seed)
    params = jax.device_get(params)
    direction = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), params)
    program = compiled(jax.value_and_grad(function))  # one program gives the values too
    ahead, behind = (
        float(program(jax.tree.map(lambda p, d, s=s: p + s * step * d, params, direction))[0]) for s in (1, -1)
    )
    return ravel(program(params)[1]) @ ravel(direction), (ahead - behind) / (2 * step)
