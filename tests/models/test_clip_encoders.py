"""The word networks: shapes, inert padding, independence of the batch, and the norms."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.models.clip_encoders import conv4, residual, standardise
from tests.programs import compiled, fast_among, jitted

NETWORKS = {"conv4": lambda outputs=None, **o: conv4(outputs, width=8, **o),
            "residual": lambda outputs=None, **o: residual(outputs, width=16, **o)}  # fmt: skip
every_network = pytest.mark.parametrize("name", fast_among(NETWORKS, "conv4"))
KEY = jax.random.key(0)


def clips(frames=30, n=3):
    values = np.random.default_rng(0).normal(size=(n, 30, 12)).astype(np.float32)
    padded = np.zeros((n, frames, 12), np.float32)
    padded[:, :30] = values
    return Ragged(jnp.asarray(padded), jnp.array([30, 17, 9][:n], jnp.int32))


@every_network
def test_embedding_and_logits_have_their_shapes_and_the_head_its_name(name):
    def shapes(model):
        (params, state) = jax.eval_shape(model.init, KEY, clips())
        apply = functools.partial(model.apply, key=KEY, train=True)
        return params, state, jax.eval_shape(apply, params, state, clips())[0]

    params, state, embedding = shapes(NETWORKS[name](frames=16))
    assert embedding.ndim == 2 and len(embedding) == 3 and set(params) == {"body"} and not state
    params, _, logits = shapes(NETWORKS[name](5, frames=16))
    assert set(params) == {"body", "head"} and logits.shape == (3, 5)


@every_network
def test_frames_beyond_the_lengths_and_other_clips_change_nothing(name):
    model = jitted(NETWORKS[name](4, frames=16))
    params, state = model.init(KEY, clips())
    whole, _ = model.apply(params, state, clips(), KEY, True)
    inputs = jax.device_get(clips(frames=41))
    beyond = np.arange(41)[None, :, None] >= inputs.lengths[:, None, None]
    noisy = inputs._replace(values=np.where(beyond, np.float32(1e3), inputs.values))
    chex.assert_trees_all_close(model.apply(params, state, noisy, KEY, True)[0], whole, atol=1e-5)
    alone = jax.tree.map(lambda leaf: leaf[1:2], jax.device_get(clips()))
    chex.assert_trees_all_close(model.apply(params, state, alone, KEY, True)[0], np.asarray(whole)[1:2], atol=1e-5)


@every_network
def test_batch_norm_predicts_from_running_averages_and_transductive_from_the_batch(name):
    inputs = jax.device_get(clips())
    alone = jax.tree.map(lambda leaf: leaf[:1], inputs)
    for norm, sees_the_batch in (("batch", False), ("transductive", True)):
        model = jitted(NETWORKS[name](4, frames=16, norm=norm))
        params, state = model.init(KEY, inputs)
        _, trained = model.apply(params, state, inputs, KEY, True)
        chex.assert_trees_all_equal_shapes_and_dtypes(trained, state)
        assert not all(np.allclose(a, b) for a, b in zip(jax.tree.leaves(trained), jax.tree.leaves(state), strict=True))
        together, kept = model.apply(params, trained, inputs, KEY, False)
        single, _ = model.apply(params, trained, alone, KEY, False)
        chex.assert_trees_all_equal(kept, trained)
        assert np.allclose(np.asarray(together)[:1], single, atol=1e-4) != sees_the_batch


@every_network
def test_gradients_are_finite_for_silence(name):
    model = NETWORKS[name](4, frames=16)
    silence = Ragged(jnp.zeros((2, 8, 12)), jnp.array([8, 0]))
    params, state = compiled(model.init)(KEY, silence)
    gradient = compiled(jax.grad(lambda p: jnp.square(model.apply(p, state, silence, KEY, True)[0]).sum()))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_an_unknown_norm_is_an_error():
    with pytest.raises(ValueError, match=r"norm must be .* got 'group'"):
        residual(norm="group")


def test_standardise_ignores_the_level_and_half_of_the_channel():
    clip = np.random.default_rng(0).normal(size=(1, 10, 6))
    program = compiled(standardise)
    whole = np.asarray(program(clip))
    np.testing.assert_allclose(program(clip + 3.0), whole, atol=1e-5)
    np.testing.assert_allclose(np.asarray(whole).std(), 1, atol=1e-3)
    channel = np.linspace(-1, 1, 6)
    moved = np.asarray(program(clip + channel))
    scale = (
        np.asarray(moved - moved.mean(1, keepdims=True)).std() / np.asarray(whole - whole.mean(1, keepdims=True)).std()
    )
    difference = np.asarray(moved.mean(1) - scale * whole.mean(1))[0]
    np.testing.assert_allclose(np.corrcoef(difference, channel)[0, 1], 1, atol=1e-4)
