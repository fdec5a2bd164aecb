"""Quantisation of weights: errors of at most half a step, exact round trips, bytes, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.compress.quantize import (
    Quantised,
    clipped,
    clipped_to_percentile,
    dequantise,
    dequantise_params,
    quantise,
    quantise_params,
    report,
    stored_bytes,
)
from tests.programs import fast_among

KINDS = list(itertools.product((8, 4), (None, -1, 0), (True, False)))
PARAMS = {"kernel": jax.random.normal(jax.random.key(1), (64, 32)), "bias": jnp.arange(32.0)}


@pytest.mark.parametrize("kind", fast_among(KINDS, (8, None, True), (4, -1, False), (8, -1, True)))
def test_errors_are_at_most_half_a_step_and_zero_is_exact(kind):
    bits, axis, symmetric = kind
    array = jax.random.normal(jax.random.key(0), (9, 5, 7)) * jnp.arange(1.0, 8.0) + 0.3
    array = array.at[2, 3].set(0.0)
    actual = quantise(array, bits, axis, symmetric)
    back = dequantise(actual)
    assert back.shape == array.shape and back.dtype == array.dtype
    # Half a step, and the rounding of the division and of the product.
    assert float((jnp.abs(back - array) / actual.scale).max()) <= 0.5 + 1e-4
    assert (back[2, 3] == 0).all()
    channels = 1 if axis is None else array.shape[axis]
    assert actual.scale.size == channels and actual.codes.dtype == (jnp.int8 if bits == 8 else jnp.uint8)


@pytest.mark.parametrize("kind", fast_among(KINDS, (8, None, True), (4, -1, False), (8, -1, True)))
def test_what_codes_can_say_comes_back_bit_for_bit(kind):
    bits, axis, symmetric = kind
    half = 2 ** (bits - 1)
    low = -half + 1 if symmetric else -half
    codes = np.random.default_rng(0).integers(low, half, (40, 6)).astype(np.float32)
    codes[0], codes[1] = half - 1, low  # every channel reaches both ends
    codes[:2, :] = codes[:2, :1]
    scale = 2.0**-5 if axis is None else 2.0 ** -np.arange(1, 7, dtype=np.float32)
    array = jnp.asarray(codes * scale)
    if axis == 0:
        array = array.T
    np.testing.assert_array_equal(dequantise(quantise(array, bits, axis, symmetric)), array)


def test_codes_of_four_bits_share_a_byte():
    array = jnp.array([-7.0, 7.0, 3.0])
    actual = quantise(array, 4, None)
    assert actual.codes.tolist() == [0x79, 0x03] and actual.shape == (3,)
    np.testing.assert_array_equal(dequantise(actual), array)


def test_channels_have_their_own_steps_and_an_empty_one_is_zero():
    array = jnp.array([[1.0, 100.0, 0.0], [-0.5, 50.0, 0.0]])
    actual = quantise(array)
    np.testing.assert_allclose(actual.scale[0, :2], [1 / 127, 100 / 127], rtol=1e-6)
    assert (dequantise(actual)[:, 2] == 0).all()


def test_params_keep_their_vectors_and_shrink_by_almost_four():
    small = quantise_params(PARAMS)
    assert isinstance(small["kernel"], Quantised) and small["bias"] is PARAMS["bias"]
    assert stored_bytes(PARAMS) == 4 * (64 * 32 + 32)
    # Codes, a scale a channel, a bit for each of the channels' codes of 0, which are 0; and the bias.
    assert stored_bytes(small) == 64 * 32 + 32 * 4 + 32 // 8 + 32 * 4
    assert stored_bytes(quantise_params(PARAMS, bits=4)["kernel"]) == 64 * 16 + 32 * 4 + 32 // 8
    back = dequantise_params(small)
    assert jax.tree.structure(back) == jax.tree.structure(PARAMS) and back["bias"] is PARAMS["bias"]


def test_codes_pass_through_jit():
    small = quantise_params(PARAMS, bits=4)
    np.testing.assert_array_equal(jax.jit(dequantise_params)(small)["kernel"], dequantise(small["kernel"]))
    inside = jax.jit(lambda params: quantise_params(params, bits=4))(PARAMS)["kernel"]
    np.testing.assert_array_equal(inside.codes, small["kernel"].codes)


def test_the_report_names_leaves_bits_and_errors():
    rows = {row["leaf"]: row for row in report(PARAMS, quantise_params(PARAMS))}
    assert rows["bias"] == {"leaf": "bias", "bits": 32, "bytes": 128, "stored": 128}
    kernel = rows["kernel"]
    assert (kernel["bits"], kernel["bytes"]) == (8, 4 * 64 * 32) and 0.4 < kernel["steps"] <= 0.5 + 1e-4
    # Errors spread evenly over a step have a deviation of a step over the root of 12.
    step = float(np.abs(PARAMS["kernel"]).max(0).mean()) / 127
    assert kernel["relative"] == pytest.approx(step / 12**0.5, rel=0.1)


def test_clipping_cuts_chosen_leaves_only():
    cut = clipped(PARAMS, -0.5, 1.0)
    assert (
        float(cut["kernel"].min()) == -0.5
        and float(cut["kernel"].max()) == 1.0
        and (cut["bias"] == PARAMS["bias"]).all()
    )
    cut = clipped_to_percentile(PARAMS, 90.0)
    most = np.percentile(np.abs(PARAMS["kernel"]), 90)
    assert float(jnp.abs(cut["kernel"]).max()) == pytest.approx(most)
    assert int((cut["kernel"] != PARAMS["kernel"]).sum()) == pytest.approx(205, abs=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantise(jnp.ones(3), 6), "bits must be 8 or 4, got 6"),
        (lambda: quantise(jnp.ones(3), 8, 1), r"axis=1 is none of an array of shape \(3,\)"),
        (lambda: quantise_params({"a": jnp.full((2, 2), jnp.nan)}), "a: array holds numbers that are not finite"),
        (lambda: quantise_params({"a": jnp.ones(2)}), "chosen takes none of a"),
        (lambda: clipped(PARAMS, 1.0, 1.0), "low must be below high"),
        (lambda: clipped_to_percentile(PARAMS, 0.0), r"percentile must lie in \(0, 100\], got 0.0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
