"""Banks of noise and room responses as fixed-length arrays."""

import numpy as np
import pytest

from jaxmeta.data.audio import write_audio
from jaxmeta.data.augmentation.banks import coloured_noise, noise_bank, room_bank
from jaxmeta.data.manifest import write_manifest


def corpus(folder, waveforms):
    for name, waveform in waveforms.items():
        write_audio(folder / name, waveform, 8000)
    write_manifest(folder, {"file_name": list(waveforms)})
    return folder


def test_noise_bank_cuts_long_recordings_repeats_short_ones_and_drops_silence(tmp_path):
    ramp = np.arange(1, 2001, dtype=np.float32) / 32768
    silence_then_ramp = np.concatenate([np.zeros(800, np.float32), ramp[:800]])
    folder = corpus(tmp_path, {"long.wav": ramp, "short.wav": ramp[:300], "silent.wav": silence_then_ramp})
    bank = noise_bank(folder, seconds=0.1, sample_rate=8000)
    expected = [ramp[:800], ramp[800:1600], np.tile(ramp[:300], 3)[:800], ramp[:800]]
    assert bank.dtype == np.float32
    np.testing.assert_array_equal(bank, np.stack(expected))


def test_room_bank_cuts_and_pads(tmp_path):
    ramp = np.arange(1, 101, dtype=np.float32) / 32768
    bank = room_bank(corpus(tmp_path, {"a.wav": ramp, "b.wav": ramp[:40]}), seconds=0.01, sample_rate=8000)
    np.testing.assert_array_equal(bank, np.stack([ramp[:80], np.pad(ramp[:40], (0, 40))]))


def test_banks_name_what_is_wrong(tmp_path):
    folder = corpus(tmp_path, {"a.wav": np.zeros(100, np.float32)})
    with pytest.raises(ValueError, match="nothing but silence"):
        noise_bank(folder, 0.01, 8000)
    with pytest.raises(ValueError, match="row 2 is silent"):
        room_bank(folder, 0.01, 8000)
    with pytest.raises(ValueError, match="less than one sample"):
        noise_bank(folder, 0.0, 8000)


def test_coloured_noise_has_unit_power_and_spectra_from_white_to_brown():
    noise = coloured_noise(40, 1.0, 8000, seed=1)
    assert noise.shape == (40, 8000) and noise.dtype == np.float32
    np.testing.assert_allclose((noise.astype(np.float64) ** 2).mean(1), 1, rtol=1e-4)
    np.testing.assert_array_equal(noise, coloured_noise(40, 1.0, 8000, seed=1))
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [power[:, low : 2 * low].mean(1) for low in (100, 200, 400, 800, 1600)]
    slope = -np.diff(np.log2(octaves), axis=0).mean(0)
    # Slopes are drawn from [0, 2]; each is estimated here to about 0.1.
    assert -0.3 < slope.min() < 0.5 and 1.5 < slope.max() < 2.3
