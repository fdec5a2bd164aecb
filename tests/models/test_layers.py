"""Layers against numpy and against lax.conv."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmeta.models.layers import apply_mask, convolve, segment_pool


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2)])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (5, 3), (3, 1)])
@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_convolve_equals_lax_convolution(size, kernel, strides):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(2, *size, 3)), jnp.float32)
    weights = jnp.asarray(rng.normal(size=(*kernel, 3, 4)), jnp.float32)
    padding = [(k // 2, k // 2) for k in kernel]
    expected = lax.conv_general_dilated(inputs, weights, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(convolve(inputs, weights, strides), expected, atol=1e-5)


def test_convolve_with_a_kernel_for_each_task_is_no_grouped_convolution():
    weights, inputs = jnp.ones((4, 3, 3, 2, 5)), jnp.ones((4, 1, 6, 6, 2))
    text = str(jax.make_jaxpr(jax.vmap(lambda w, x: convolve(x, w, (1, 1))))(weights, inputs))
    assert "conv_general_dilated" not in text and "dot_general" in text


def test_segments_of_a_divisible_length_are_plain_means():
    values = np.random.default_rng(0).normal(size=(1, 12, 3))
    pooled = segment_pool(jnp.asarray(values), jnp.array([12]), 4)
    np.testing.assert_allclose(pooled[0], values[0].reshape(4, 3, 3).mean(1), atol=1e-6)


def test_a_frame_on_a_border_counts_for_both_segments_by_its_share():
    pooled = segment_pool(jnp.array([[[0.0], [3.0], [9.0], [100.0]]]), jnp.array([3]), 2)
    # Segments of one and a half frames: (0 + 3 / 2) / 1.5 and (3 / 2 + 9) / 1.5.
    np.testing.assert_allclose(pooled[0, :, 0], [1.0, 7.0], atol=1e-6)


def test_a_short_row_repeats_frames_and_an_empty_one_gives_zeros():
    values = jnp.array([[[1.0], [2.0]], [[5.0], [6.0]]])
    pooled = segment_pool(values, jnp.array([2, 0]), 4)
    np.testing.assert_allclose(pooled[:, :, 0], [[1, 1, 2, 2], [0, 0, 0, 0]], atol=1e-6)


def test_segments_keep_the_mean_of_the_row():
    values = np.random.default_rng(1).normal(size=(1, 17, 2))
    pooled = segment_pool(jnp.asarray(values), jnp.array([13]), 5)
    np.testing.assert_allclose(pooled[0].mean(0), values[0, :13].mean(0), atol=1e-6)


def test_apply_mask_removes_nan_beyond_the_lengths():
    values = jnp.full((2, 3, 2), jnp.nan).at[0, 0].set(1.0)
    np.testing.assert_array_equal(apply_mask(values, jnp.array([1, 0])).sum(axis=(1, 2)), [2.0, 0.0])
