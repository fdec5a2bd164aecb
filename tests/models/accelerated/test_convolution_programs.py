"""Programs of a GPU for convolutions, simulated here: values in float32, and that they become programs at all."""

import contextvars
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.models import convolution
from jaxmeta.models.accelerated import convolution_kernels
from jaxmeta.models.accelerated.convolution_programs import convolution_form, gpu_program

FUNCTIONS = (convolution_kernels.inputs, convolution_kernels.kernel, convolution_kernels.outputs)
CASES = [
    ((7, 6), (3, 3), (2, 1), 20, 24, 3),
    pytest.param(((8, 5), (5, 3), (1, 2), 70, 32, 2), marks=pytest.mark.slow),
    pytest.param(((9, 5), (3, 3), (2, 2), 16, 80, 2), marks=pytest.mark.slow),
]


def operands(role, size, kernel, strides, channels, features, groups, dtype=np.float32):
    geometry = convolution._Geometry(size, kernel, strides)
    rng = np.random.default_rng(0)
    shapes = [(groups, 5, *size, channels), (groups, *kernel, channels, features)]
    shapes.append((groups, 5, *geometry.outputs, features))
    arrays = [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]
    result = arrays.pop(role)
    return geometry, arrays, result


@pytest.fixture(autouse=True)
def programs():
    with convolution_form("programs"):
        yield


@pytest.mark.parametrize("role", [0, 1, 2])
@pytest.mark.parametrize("sizes", CASES)
def test_a_program_gives_what_patches_and_matrices_give(sizes, role):
    geometry, given, _ = operands(role, *sizes)
    got = jax.jit(partial(FUNCTIONS[role], geometry=geometry, interpret=True))(*given)
    expected = jax.jit(partial(convolution._elsewhere(role), geometry=geometry))(*given)
    # Sums of up to 1050 products in float32, in another order.
    np.testing.assert_allclose(got, expected, atol=1e-5 * float(jnp.abs(expected).max()))


@pytest.mark.skipif(jax.__version_info__ >= (0, 12), reason="jax 0.12 writes such a program only where a GPU is")
@pytest.mark.parametrize("role", [0, 1, 2])
def test_a_program_is_written_for_a_gpu_that_is_not_here(role):
    geometry, given, _ = operands(role, *CASES[0], dtype=jnp.bfloat16)
    lowered = jax.jit(partial(FUNCTIONS[role], geometry=geometry)).trace(*given).lower(lowering_platforms=("cuda",))
    assert "triton" in lowered.as_text()


def test_what_was_slower_as_a_program_stays_patches():
    size = ((7, 6), (3, 3), (1, 1), 32, 32, 2)
    chosen = {}
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        for role in range(3):
            geometry, given, result = operands(role, *size, dtype=dtype)
            chosen[jnp.dtype(dtype).name, role] = gpu_program(role, *given, result, geometry)
    assert [chosen["bfloat16", role] for role in range(3)] == list(FUNCTIONS)
    assert [chosen["float32", role] for role in range(3)] == [FUNCTIONS[0], None, FUNCTIONS[2]]
    assert [chosen["float16", role] for role in range(3)] == [None] * 3
    geometry, given, result = operands(2, *size)
    with jax.default_matmul_precision("highest"):
        assert gpu_program(2, *given, result, geometry) is None
    few = operands(2, (7, 6), (3, 3), (1, 1), 1, 32, 2)
    assert gpu_program(2, *few[1], few[2], few[0]) is None


def test_the_form_can_be_chosen_and_is_put_back():
    geometry, given, result = operands(2, *CASES[0])
    with convolution_form("patches"):
        assert gpu_program(2, *given, result, geometry) is None
    assert gpu_program(2, *given, result, geometry) is FUNCTIONS[2]
    with pytest.raises(ValueError, match="form must be"), convolution_form("shifts"):
        pass


def test_patches_are_the_default():
    geometry, given, result = operands(2, *CASES[0])
    assert contextvars.Context().run(gpu_program, 2, *given, result, geometry) is None
