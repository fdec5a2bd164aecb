"""The depthwise convolution against numpy, and its derivatives against those of a sum of products, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jaxmeta.models.accelerated.depthwise import depthwise
from tests.programs import compiled

RNG = np.random.default_rng(0)


def products(values, kernel):
    taps, frames = len(kernel), values.shape[1]
    padded = jnp.pad(values, ((0, 0), (taps // 2, taps // 2), (0, 0)))
    return sum(kernel[tap] * padded[:, tap : tap + frames] for tap in range(taps))


def of_gradients(function):
    """A gradient of a gradient, through every form."""

    def scalar(values, kernel):
        return jnp.sum(jnp.sin(function(values, kernel)))

    return jax.grad(lambda *given: sum(jnp.sum(g**3) for g in jax.grad(scalar, (0, 1))(*given)), (0, 1))


def test_it_is_one_correlation_a_feature():
    values, kernel = RNG.normal(size=(2, 9, 3)), RNG.normal(size=(5, 3))
    result = np.asarray(compiled(depthwise)(values, kernel))
    for row in range(2):
        for feature in range(3):
            expected = np.correlate(np.pad(values[row, :, feature], 2), kernel[:, feature], "valid")
            np.testing.assert_allclose(result[row, :, feature], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_second_derivatives_are_those_of_products_for_tasks_too():
    with jax.enable_x64(True):
        values, kernel = RNG.normal(size=(3, 2, 9, 4)), RNG.normal(size=(3, 5, 4))
        for tasks, given in (
            (None, (values[0], kernel[0])),
            ((0, 0), (values, kernel)),
            ((0, None), (values, kernel[0])),
        ):
            ours, expected = (
                compiled(of_gradients(f) if tasks is None else jax.vmap(of_gradients(f), tasks))(*given)
                for f in (depthwise, products)
            )
            for actual, leaf in zip(ours, expected, strict=True):
                np.testing.assert_allclose(actual, leaf, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("platform", "loops"), [("cpu", True), ("cuda", False)])
def test_derivatives_are_loops_over_taps_on_a_cpu_alone(platform, loops):
    forms = [jax.ShapeDtypeStruct(shape, np.float32) for shape in ((2, 9, 3), (5, 3))]
    lowered = export.export(jax.jit(of_gradients(depthwise)), platforms=[platform])(*forms).mlir_module()
    assert ("stablehlo.while" in lowered) == loops
