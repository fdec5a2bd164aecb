"""Attention and rotary positions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.models.attention import Attention, DecoderBlock, rotate
from tests.programs import compiled

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)


def test_rotated_scores_depend_on_the_distance_alone():
    query, key = (np.tile(RNG.normal(size=8).astype(np.float32), (1, 12, 1, 1)) for _ in range(2))
    turned = jax.device_get(compiled(lambda *pair: [rotate(each) for each in pair])(query, key))
    scores = np.einsum("nqhd,nkhd->nqk", *turned)[0]
    for distance in range(-5, 6):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-4, atol=1e-4)
    assert np.ptp(scores[0]) > 0.1
    np.testing.assert_allclose(np.linalg.norm(turned[0], axis=-1), np.linalg.norm(query, axis=-1), rtol=1e-5)


def test_one_head_is_the_formula_of_the_paper():
    values = RNG.normal(size=(1, 4, 6))
    layer = Attention(1, rotary=False)
    mask = np.array([[[True, True, True, False]]])
    params = compiled(layer.init)(KEY, values, values, mask)
    own = jax.tree.map(np.asarray, params["params"])
    q, k, v = (values[0] @ own[n]["kernel"][:, 0] + own[n]["bias"][0] for n in ("query", "key", "value"))
    weights = np.exp(q @ k[:3].T / np.sqrt(6))
    mixed = weights / weights.sum(1, keepdims=True) @ v[:3]
    expected = mixed @ own["out"]["kernel"][0] + own["out"]["bias"]
    np.testing.assert_allclose(compiled(layer.apply)(params, values, values, mask)[0], expected, rtol=1e-4, atol=1e-5)


def test_a_decoder_position_sees_no_later_one_and_no_masked_memory():
    values, memory = (RNG.normal(size=(1, size, 8)).astype(np.float32) for size in (5, 6))
    mask = np.arange(6)[None] < 4
    block = DecoderBlock(2)
    params = compiled(block.init, static_argnums=4)(KEY, values, memory, mask, False)
    apply = compiled(lambda values, memory: block.apply(params, values, memory, mask, False))
    before = np.asarray(apply(values, memory))  # Waits: JAX may read these arrays where they lie.
    values[0, 3:] += 1.0
    memory[0, 4:] += 9.0
    after = apply(values, memory)
    np.testing.assert_allclose(after[0, :3], before[0, :3], atol=1e-6)
    assert not np.allclose(after[0, 3:], before[0, 3:], atol=1e-3)


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="need a width that 8 divides, got 12"):
        Attention(4).init(KEY, jnp.zeros((1, 2, 12)), jnp.zeros((1, 2, 12)), jnp.ones((1, 1, 2), bool))
