"""Noise and rooms that need no recordings."""

import numpy as np
import pytest

from jaxmeta.data.audio import read_audio, write_audio
from jaxmeta.data.augmentation.artificial_sounds import artificial_rooms, babble, swelling
from jaxmeta.data.augmentation.banks import coloured_noise

RATE = 16_000


@pytest.fixture
def voice(tmp_path):
    """A tenth of a second of noise."""
    wave = np.random.default_rng(0).normal(size=RATE // 10) * 0.1
    write_audio(tmp_path / "voice.wav", wave.astype(np.float32), RATE)
    return tmp_path / "voice.wav"


def test_babble_of_one_voice_is_that_voice_over_and_over(voice):
    wave = read_audio(voice, RATE)
    expected = np.resize(wave / np.sqrt(np.mean(wave.astype(float) ** 2)), (2, 4 * len(wave)))
    np.testing.assert_allclose(babble([voice], 2, 0.4, RATE, voices=1), expected, atol=1e-5)


def test_swelling_noise_has_unit_power_and_the_same_fine_structure():
    steady = coloured_noise(2, 1.0)
    swollen = swelling(steady, RATE)
    np.testing.assert_allclose(np.mean(swollen**2, axis=1), 1, rtol=1e-4)
    level = np.log(swollen / steady)
    np.testing.assert_allclose(level.std(axis=1), 1, rtol=1e-3)
    fast = np.abs(np.fft.rfft(level - level.mean(axis=1, keepdims=True)))[:, 9:]  # one second: bins are 1 Hz apart
    assert fast.max() < 1e-3 * len(level[0])
    np.testing.assert_allclose(swelling(steady, RATE, strength=0.0), steady, rtol=1e-3)


def test_rooms_begin_with_the_direct_path_and_decay_exponentially():
    rooms = artificial_rooms(20, seconds=0.8).astype(float)
    assert np.all(rooms[:, 0] == 1) and np.abs(rooms[:, 1:]).max() < 0.5
    energy = np.square(rooms[:, 1:])
    assert np.all(energy.sum(axis=1) > 0.2) and np.all(energy.sum(axis=1) < 2.1)
    # Of noise, so that energies over 0.1 s scatter by a few percent: 60 dB in 0.3 to 0.8 s is 20 to 7.5 dB in 0.1 s.
    early, late = energy[:, :1600].sum(axis=1), energy[:, 1600:3200].sum(axis=1)
    fall = 10 * np.log10(early / late)
    assert fall.min() > 6.5 and fall.max() < 21.5 and np.ptp(fall) > 5
