"""The telephone: what of a sound passes it."""

import numpy as np
import pytest

from jaxmeta.data.augmentation.telephone import telephone

SECOND = np.arange(16_000) / 16_000


def through(waveform, codec):
    return telephone(codec).apply(waveform.astype(np.float32), np.random.default_rng(0), 16_000)


def level(waveform):
    """Of the middle, in decibels."""
    return 10 * np.log10(np.mean(np.square(waveform[4_000:12_000])) + 1e-12)


@pytest.mark.parametrize(("codec", "tolerance"), [("GSM610", 2.5), ("ULAW", 0.5)])
def test_a_telephone_passes_its_band_alone(codec, tolerance):
    tone = {hertz: 0.1 * np.sin(2 * np.pi * hertz * SECOND) for hertz in (60, 1_000, 6_000)}
    lost = {hertz: level(wave) - level(through(wave, codec)) for hertz, wave in tone.items()}
    assert abs(lost[1_000]) < tolerance and lost[60] > 20 and lost[6_000] > 20


def test_length_and_silence_stay():
    for size in (100, 3_001):
        assert through(np.sin(np.arange(size)), "GSM610").shape == (size,)
    assert not through(np.zeros(500), "GSM610").any()


def test_an_unknown_codec_is_refused():
    with pytest.raises(ValueError, match="codec='MP3' must be 'GSM610' or 'ULAW'"):
        telephone("MP3")
