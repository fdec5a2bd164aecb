"""Measurements of samples, against what their formulas say."""

import numpy as np
import pytest

from jaxmeta.data.checking import bandwidth, channels, levels
from jaxmeta.data.checking.measurements import measure
from jaxmeta.data.checking.reading import Channels

RATE = 16_000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
NOISE = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)


def test_a_sine_has_half_the_power_of_its_square_and_no_offset():
    assert levels.frame_powers(TONE, RATE) == pytest.approx(0.125, rel=0.01)
    assert levels.decibels(0.125) == pytest.approx(-9.0309, abs=1e-4)
    assert levels.offset(TONE) == pytest.approx(0, abs=1e-6)
    assert levels.offset(TONE + np.float32(0.05)) == pytest.approx(0.05, abs=1e-6)


def test_a_clipped_sine_is_flat_as_long_as_it_is_beyond_the_limit():
    # |sin| is above 1/2 for two thirds of the time; 0.985 of the limit adds a little.
    assert levels.clipped_share(np.clip(TONE, -0.25, 0.25)) == pytest.approx(2 / 3, abs=0.03)
    assert levels.clipped_share(0.1 * np.clip(TONE, -0.25, 0.25)) == pytest.approx(2 / 3, abs=0.03)
    assert levels.clipped_share(np.clip(TONE, -1, 0.25)) == pytest.approx(1 / 3, abs=0.05)
    assert levels.clipped_share(NOISE) == 0 and levels.clipped_share(np.zeros(100)) == 0


@pytest.mark.parametrize("ratio", [0, 10, 20, 40])
def test_the_ratio_of_signal_and_noise_is_found_where_there_are_pauses(ratio):
    rng = np.random.default_rng(ratio)
    noise = rng.normal(0, 10 ** (-ratio / 20), 4 * RATE) * 0.05
    speech = 0.05 * rng.normal(0, 1, 4 * RATE) * np.repeat([0, 1, 0, 1], RATE)
    actual = levels.signal_to_noise(levels.frame_powers((noise + speech).astype(np.float32), RATE))
    assert actual == pytest.approx(ratio, abs=1.5)


@pytest.mark.parametrize("lower", [8_000, 11_025, 12_000])
def test_noise_without_anything_above_half_of_a_rate_was_recorded_at_that_rate(lower):
    spectrum = np.fft.rfft(NOISE)
    spectrum[np.fft.rfftfreq(RATE, 1 / RATE) > lower / 2] = 0
    band = np.fft.irfft(spectrum).astype(np.float32)
    rounded = np.round(band * 32768) / 32768
    rate, edge = bandwidth.steepest(bandwidth.spectrum(rounded), RATE)
    # Flat noise of power 0.01 over 8 kHz, and rounding of 2^-30 / 12 over as much: 81 dB.
    assert rate == lower and edge == pytest.approx(81, abs=3)
    assert bandwidth.steepest(bandwidth.spectrum(NOISE), RATE)[1] < 1


def test_channels_that_are_dead_or_opposite_are_told_from_those_that_differ():
    other = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    assert channels.dead_channels(np.stack([NOISE, 1e-3 * other], 1)) == 1
    assert channels.dead_channels(np.stack([NOISE, 1e-2 * other], 1)) == 0
    assert channels.dead_channels(np.zeros((100, 2))) == 0
    assert channels.lowest_correlation(np.stack([NOISE, other], 1)) == pytest.approx(0, abs=0.03)
    assert channels.lowest_correlation(np.stack([NOISE, -0.1 * NOISE], 1)) == pytest.approx(-1)
    assert channels.lowest_correlation(NOISE[:, None]) == 1
    # A channel alone beside a dead one has nothing to be opposite to.
    assert channels.lowest_correlation(np.stack([NOISE, 0 * NOISE], 1)) == 1


def test_a_recording_of_any_length_is_measured():
    for count in (1, 2, 10, 399, 400, 401, 1023, 1025):
        sound = measure(Channels(NOISE[:count, None], RATE))
        numbers = [value for value in sound if isinstance(value, int | float)]
        assert np.isfinite(numbers).all() and sound.seconds == count / RATE >= sound.sounding


def test_the_digest_is_of_the_sound_and_not_of_silences_at_its_ends_or_of_equal_channels():
    plain = measure(Channels(NOISE[:, None], RATE)).digest
    padded = np.concatenate([np.zeros(100, np.float32), NOISE, np.zeros(50, np.float32)])
    assert measure(Channels(padded[:, None], RATE)).digest == plain
    assert measure(Channels(np.stack([NOISE, NOISE], 1), RATE)).digest == plain
    changed = NOISE.copy()
    changed[5] += 1e-4
    for other in (Channels(changed[:, None], RATE), Channels(NOISE[:, None], 8_000), Channels(TONE[:, None], RATE)):
        assert measure(other).digest != plain
