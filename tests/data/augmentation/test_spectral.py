"""Augmentation of log-mels: closed forms, and the promises that every transform makes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.data.augmentation.spectral import equalise, mix_noise, reverberate_spectrum, time_warp
from tests.programs import compiled

N, T, F = 3, 20, 8
BANK = np.random.default_rng(1).normal(-2, 1, (4, 12, F)).astype(np.float32)
TRANSFORMS = {
    "time_warp": time_warp(0.1, 0.1),
    "equalise": equalise(0.9),
    "mix_noise": mix_noise(BANK, 0.0, 30.0),
    "reverberate_spectrum": reverberate_spectrum(0.5, 4.0),
}
every_transform = pytest.mark.parametrize("name", TRANSFORMS)


def clips():
    values = np.random.default_rng(0).normal(0, 2, (N, T, F)).astype(np.float32)
    return Ragged(values, np.array([T, 13, 1], np.int32))


def run(transform, inputs, seed=0):
    return jax.device_get(compiled(transform)(jax.random.key(seed), inputs))


def valid(length):
    return np.arange(T)[:, None] < length


@every_transform
def test_same_key_same_result_and_another_key_another(name):
    first, again, other = (run(TRANSFORMS[name], clips(), seed) for seed in (0, 0, 1))
    chex.assert_trees_all_equal(first, again)
    assert not np.allclose(first.values[0], other.values[0])


@every_transform
def test_padding_is_inert_and_comes_out_as_zeros(name):
    spoilt = clips()
    spoilt.values[np.arange(T) >= spoilt.lengths[:, None]] = np.nan
    clean, changed = (run(TRANSFORMS[name], inputs) for inputs in (clips(), spoilt))
    chex.assert_trees_all_equal(clean, changed)
    assert np.all(np.asarray(clean.values[1, 13:]) == 0)
    chex.assert_trees_all_equal(clean.lengths, clips().lengths)


@every_transform
def test_jit_equals_eager(name):
    eager = TRANSFORMS[name](jax.random.key(0), jax.tree.map(jnp.asarray, clips()))
    # A position in time is rounded to about 1e-5 frames, and neighbouring frames differ by a few nats.
    chex.assert_trees_all_close(run(TRANSFORMS[name], clips()), eager, atol=2e-4)


@pytest.mark.parametrize("identity", [time_warp(0.0, 0.0), equalise(0.0), reverberate_spectrum(0.0, 1.0)])
def test_no_strength_is_the_identity(identity):
    inputs = clips()
    expected = np.where(np.arange(T)[:, None] < np.asarray(inputs.lengths)[:, None, None], inputs.values, 0)
    np.testing.assert_allclose(run(identity, inputs).values, expected, atol=1e-5)


def test_mix_noise_reaches_the_ratio_asked_for():
    inputs = clips()
    mixed = run(mix_noise(BANK, 7.0, 7.0), inputs)
    for row, length in enumerate(np.asarray(inputs.lengths)):
        signal = np.exp(np.asarray(inputs.values[row, :length], np.float64)).sum()
        noise = np.exp(np.asarray(mixed.values[row, :length], np.float64)).sum() - signal
        np.testing.assert_allclose(10 * np.log10(signal / noise), 7.0, atol=1e-2)


def test_reverberation_of_an_impulse_decays_exponentially():
    values = np.full((1, T, F), -40.0, np.float32)
    values[0, 3] = 2.0
    rung = run(reverberate_spectrum(1.0, 6.0, taps=5), Ragged(values, np.array([T])), 3)
    tail = np.asarray(rung.values[0, 4:9, 0], np.float64)
    np.testing.assert_allclose(np.diff(tail), np.diff(tail)[0], rtol=1e-4)
    assert tail[0] <= 2.0 and -2 <= np.diff(tail)[0] <= -1 / 6
    # Elsewhere the background rings on a little itself: at most by its five echoes, log(1 + 5) nats.
    background = np.delete(np.asarray(rung.values[0, :, 0]), np.arange(3, 9))
    assert np.all((background >= -40.0) & (background <= -40.0 + np.log(6)))


def test_equalise_adds_one_curve_to_all_frames():
    inputs = clips()
    curve = (run(equalise(0.9), inputs).values - inputs.values)[0]
    np.testing.assert_allclose(curve, np.broadcast_to(curve[0], curve.shape), atol=1e-5)
    # Cosines of order 1 and more have no mean.
    np.testing.assert_allclose(curve[0].mean(), 0, atol=1e-5)


def test_time_warp_of_a_ramp_stays_monotonic_and_inside():
    ramp = np.broadcast_to(np.arange(T, dtype=np.float32)[None, :, None], (64, T, F))
    warped = run(time_warp(0.2, 0.15), Ragged(ramp, np.full(64, T)))
    path = np.asarray(warped.values[:, :, 0])
    assert np.all(np.diff(path, axis=1) >= 0) and path.min() >= 0 and path.max() <= T - 1
    assert np.std(path[:, T // 2]) > 0.5


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: time_warp(0.5, 0.0), "ends=0.5"),
        (lambda: time_warp(0.0, 0.2), "bend=0.2"),
        (lambda: equalise(-1.0), "strength=-1"),
        (lambda: mix_noise(BANK[0], 0, 1), "bank must be"),
        (lambda: mix_noise(BANK, 3, 1), "low=3"),
        (lambda: reverberate_spectrum(2.0, 1.0), "share=2"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
