"""Features of the pretrained embeddings, from their definition."""

import numpy as np

from jaxmeta.data.features import mel_filters
from jaxmeta.data.pretrained.embedding_features import speaker_mels, word_mels

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
