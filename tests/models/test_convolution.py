"""convolve against lax.conv_general_dilated and itself in other forms, in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from jaxmeta.models import convolution
from jaxmeta.models.convolution import convolve
from tests.programs import compiled, fast_among

pytestmark = pytest.mark.usefixtures("float64")
CASES = [((3, 3), (1, 1)), ((3, 3), (2, 2)), ((5, 3), (1, 2)), ((1, 1), (1, 1)), ((3, 1), (2, 1))]


def operands(kernel, size=(7, 6), groups=(), features=4):
    """Inputs and a kernel; the form is used for 64 features, patches for 4."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(*groups, 10, *size, 3)),
        rng.normal(size=(*groups, *kernel, 3, features)) / features,
    )


def reference(inputs, kernel, strides):
    """XLA's own, with the padding that convolve documents; the outputs beyond the inputs' end are cut off."""
    padding = [(length // 2, length // 2 + stride) for length, stride in zip(kernel.shape[:2], strides, strict=True)]
    outputs = lax.conv_general_dilated(inputs, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    height, width = (-(-size // stride) for size, stride in zip(inputs.shape[1:3], strides, strict=True))
    return outputs[:, :height, :width]


def second_order(function):
    """A gradient of a gradient, through every product of the form."""

    def scalar(inputs, kernel):
        return jnp.sum(jnp.sin(function(inputs, kernel)))

    def of_gradients(inputs, kernel):
        return sum(jnp.sum(g**3) for g in jax.grad(scalar, (0, 1))(inputs, kernel))

    return jax.grad(of_gradients, (0, 1))


def with_second_order(function):
    """The outputs, and the gradient of a gradient."""
    return lambda inputs, kernel: (function(inputs, kernel), second_order(function)(inputs, kernel))


@pytest.mark.parametrize(
    ("kernel", "strides", "size", "features"),
    [(*case, (7, 6), 4) for case in CASES] + [(*case, size, 64) for case in CASES[:3] for size in ((7, 6), (1, 4))],
)
def test_values_and_second_derivatives_are_those_of_lax(kernel, strides, size, features):
    inputs, weights = operands(kernel, size, features=features)
    ours, xla = partial(convolve, strides=strides), partial(reference, strides=strides)
    actual, expected = (compiled(with_second_order(function))(inputs, weights) for function in (ours, xla))
    np.testing.assert_allclose(actual[0], expected[0], atol=1e-12)
    for got, each in zip(actual[1], expected[1], strict=True):
        np.testing.assert_allclose(got, each, atol=1e-9)


@pytest.mark.parametrize(("kernel", "strides"), CASES[:3])
def test_derivatives_in_both_modes_are_finite_differences(kernel, strides):
    inputs, weights = operands(kernel, (4, 5), features=64)
    check_grads(jax.jit(lambda x, k: jnp.sin(convolve(x, k, strides))), (inputs[:2], weights), order=2)


OURS = with_second_order(partial(convolve, strides=(2, 1)))
ALONE = compiled(OURS)


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("features", fast_among([4, 64], 4))
def test_vmap_equals_a_loop_in_value_and_second_derivative(axes, features):
    inputs, weights = operands((3, 3), groups=(3,), features=features)
    inputs, weights = inputs if axes[0] == 0 else inputs[0], weights if axes[1] == 0 else weights[0]
    got = jax.tree.leaves(compiled(jax.vmap(OURS, axes))(inputs, weights))
    loop = [
        jax.tree.leaves(ALONE(inputs[i] if axes[0] == 0 else inputs, weights[i] if axes[1] == 0 else weights))
        for i in range(3)
    ]
    for index, leaf in enumerate(got):
        np.testing.assert_allclose(leaf, np.stack([leaves[index] for leaves in loop]), atol=1e-9)


@pytest.mark.parametrize("groups", fast_among([1, 3], 3))
@pytest.mark.parametrize("role", [0, 1, 2])
def test_what_an_accelerator_runs_is_what_a_cpu_runs(role, groups):
    geometry = convolution._Geometry((7, 6), (3, 3), (2, 1))
    rng = np.random.default_rng(1)
    shapes = [(groups, 9, 7, 6, 3), (groups, 3, 3, 3, 4), (groups, 9, *geometry.outputs, 4)]
    given = [rng.normal(size=shape) for index, shape in enumerate(shapes) if index != role]

    @compiled
    def both(*given):
        bound = convolution._PRIMITIVES[role].bind(*given, geometry=geometry)
        return bound, convolution._elsewhere(role)(*given, geometry)

    on_cpu, elsewhere = both(*given)
    np.testing.assert_allclose(elsewhere, on_cpu, atol=1e-11)
    assert on_cpu.shape == shapes[role]


def test_no_order_of_derivative_has_a_grouped_or_reordered_convolution():
    inputs, weights = operands((3, 3), groups=(2,), features=64)
    gradient = jax.vmap(second_order(convolve))
    text = jax.jit(gradient).lower(inputs, weights).as_text()
    convolutions = [line for line in text.splitlines() if "stablehlo.convolution(" in line]
    assert convolutions
    assert all("feature_group_count = 1" in line and "batch_group_count = 1" in line for line in convolutions)
    assert all("[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in line for line in convolutions)


def test_types_are_promoted_as_in_any_product():
    inputs, weights = operands((3, 3))
    narrow = inputs.astype(jnp.bfloat16), weights.astype(jnp.bfloat16)
    assert jax.eval_shape(convolve, *narrow).dtype == jnp.bfloat16
    assert jax.eval_shape(convolve, inputs.astype(jnp.float32), narrow[1]).dtype == jnp.float32


@pytest.mark.parametrize(
    ("inputs", "kernel", "message"),
    [
        ((1, 4, 4, 2), (2, 3, 2, 1), "odd"),
        ((1, 4, 4, 2), (3, 3, 1, 1), "needs inputs"),
        ((4, 4, 2), (3, 3, 2, 1), "needs inputs"),
    ],
)
def test_wrong_shapes_are_named(inputs, kernel, message):
    with pytest.raises(ValueError, match=message):
        convolve(jnp.ones(inputs), jnp.ones(kernel))
