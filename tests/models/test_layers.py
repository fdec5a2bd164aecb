"""Layers against numpy."""

import jax.numpy as jnp
import numpy as np

from jaxmeta.models.layers import apply_mask, segment_pool
from tests.programs import compiled

POOL = compiled(segment_pool, static_argnums=2)


def test_segments_of_a_divisible_length_are_plain_means():
    values = np.random.default_rng(0).normal(size=(1, 12, 3))
    pooled = POOL(jnp.asarray(values), jnp.array([12]), 4)
    np.testing.assert_allclose(np.asarray(pooled)[0], values[0].reshape(4, 3, 3).mean(1), atol=1e-6)


def test_a_frame_on_a_border_counts_for_both_segments_by_its_share():
    pooled = POOL(jnp.array([[[0.0], [3.0], [9.0], [100.0]]]), jnp.array([3]), 2)
    # Segments of one and a half frames: (0 + 3 / 2) / 1.5 and (3 / 2 + 9) / 1.5.
    np.testing.assert_allclose(np.asarray(pooled)[0, :, 0], [1.0, 7.0], atol=1e-6)


def test_a_short_row_repeats_frames_and_an_empty_one_gives_zeros():
    values = jnp.array([[[1.0], [2.0]], [[5.0], [6.0]]])
    pooled = POOL(values, jnp.array([2, 0]), 4)
    np.testing.assert_allclose(np.asarray(pooled)[:, :, 0], [[1, 1, 2, 2], [0, 0, 0, 0]], atol=1e-6)


def test_segments_keep_the_mean_of_the_row():
    values = np.random.default_rng(1).normal(size=(1, 17, 2))
    pooled = POOL(jnp.asarray(values), jnp.array([13]), 5)
    np.testing.assert_allclose(np.asarray(pooled)[0].mean(0), values[0, :13].mean(0), atol=1e-6)


def test_apply_mask_removes_nan_beyond_the_lengths():
    values = np.full((2, 3, 2), np.nan, np.float32)
    values[0, 0] = 1.0
    masked = np.asarray(compiled(apply_mask)(values, np.array([1, 0])))
    np.testing.assert_array_equal(masked.sum(axis=(1, 2)), [2.0, 0.0])
