"""Features of the pretrained embeddings, from their definition."""

import numpy as np

from jaxmeta.data.features import mel_filters
from jaxmeta.data.pretrained.embedding_features import speaker_mels, word_bands, word_mels

NOISE = 0.1 * np.random.default_rng(0).normal(size=16_000).astype(np.float32)
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)


def power(waveform, starts, window):
    frames = np.stack([waveform[start : start + len(window)] for start in starts])
    return np.abs(np.fft.rfft(window * frames)) ** 2


def test_word_mels_are_decibels_within_80_of_the_loudest_on_the_scale_of_16_bits():
    starts = range(0, 16_000 - 512 + 1, 160)
    mels = (
        power(32_767 * NOISE.astype(np.float64), starts, np.pad(HANN, 56)) @ mel_filters(16_000, 512, 32, 60, 3_800).T
    )
    decibels = 10 * np.log10(np.maximum(mels, 1e-10))
    np.testing.assert_allclose(word_mels(NOISE), np.maximum(decibels, decibels.max() - 80) / 10 + 2, atol=1e-4)
    assert word_mels(NOISE[:100]).shape == (76, 32)


def test_speaker_mels_are_power_of_a_recording_that_is_not_quiet():
    padded = np.pad(NOISE.astype(np.float64), 200)
    expected = power(padded, range(0, 16_001, 160), HANN) @ mel_filters(16_000, 400, 40, 0, 8_000).T
    np.testing.assert_allclose(speaker_mels(NOISE), expected, rtol=1e-4, atol=1e-7)
    # -30 dB is an effective value of 0.0316; the noise has one of 0.1.
    np.testing.assert_allclose(speaker_mels(NOISE / 100), expected * 0.001 / np.mean(np.square(NOISE)), rtol=1e-3)
    assert not speaker_mels(np.zeros(800)).any()


def test_word_bands_are_of_frames_without_a_window_and_silence_is_the_smallest_number():
    impulse = np.zeros(24_000, np.float32)
    impulse[200] = 1  # In the first two frames alone, where each of 257 bins has a power of 1 / 512.
    bands = word_bands(impulse)
    assert bands.shape == (149, 64)
    mels = np.arange(66) * 2595 * np.log10(1 + 8_000 / 700) / 65
    low, middle, high = (np.floor(513 / 16_000 * 700 * (10 ** (mels[i : i + 64] / 2595) - 1)) for i in range(3))
    sums = np.maximum(middle - low - 1, 0) / 2 + (high > middle) * (high - middle + 1) / 2
    smallest = np.finfo(float).eps
    expected = np.log(np.where(sums > 0, sums / 512, smallest))
    np.testing.assert_allclose(bands[:2], [expected, expected], rtol=1e-5)
    np.testing.assert_allclose(bands[2:], np.log(smallest), rtol=1e-6)
