import dataclasses

import librosa
import numpy as np
import pytest
import scipy.fft

from jaxmeta.data import features as module
from jaxmeta.data.features import FeatureConfig, extract, mel_filters, normalized, statistics, whisper_features

PLAIN = FeatureConfig(normalize="none")


def noise(samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def log_mel(waveform, config):
    """Log-mel energies in float64 from their definition, with a dense filterbank."""
    half = config.n_fft // 2
    window = np.zeros(config.n_fft)
    left = (config.n_fft - config.win_length) // 2
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.win_length) / config.win_length)
    window[left : left + config.win_length] = hann
    padded = np.pad(waveform.astype(np.float64), (half, half + config.n_fft))
    starts = range(0, len(waveform) + 1, config.hop_length)
    power = np.array([np.abs(np.fft.rfft(window * padded[s : s + config.n_fft])) ** 2 for s in starts])
    return np.log(np.maximum(power @ slaney(config).T, config.floor))


def slaney(config):
    """Triangular filters on Slaney's mel scale, linear below 1 kHz and logarithmic above, of unit area in Hz."""
    step = np.log(6.4) / 27

    def mel(hertz):
        return hertz * 3 / 200 if hertz < 1000 else 15 + np.log(hertz / 1000) / step

    mels = np.linspace(mel(config.fmin), mel(config.fmax), config.n_mels + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    bins = np.arange(config.n_fft // 2 + 1) * config.sample_rate / config.n_fft
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.clip(np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)), 0, None) * 2 / (high - low)


@pytest.mark.parametrize(("samples", "frames"), [(8_000, 50), (8_001, 50), (150, 1)])
def test_the_features_of_whisper_are_decades_within_8_of_the_loudest(samples, frames):
    config = whisper_features()
    waveform = np.append(noise(samples - 50), np.zeros(50, np.float32))
    reflected = np.pad(np.pad(waveform, (0, max(0, 400 - samples))), 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.array([np.abs(np.fft.rfft(window * reflected[160 * n : 160 * n + 400])) ** 2 for n in range(frames)])
    decades = np.log10(np.maximum(power @ slaney(config).T, 1e-10))
    features = extract(waveform, config)
    assert features.shape == (frames, 80) and features.dtype == np.float32
    np.testing.assert_allclose(features, (np.maximum(decades, decades.max() - 8) + 4) / 4, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 100, 399, 513, 8_000, 16_001])
def test_log_mel_is_its_definition(samples):
    features = extract(noise(samples), PLAIN)
    assert features.dtype == np.float32
    assert features.shape == (1 + samples // 320, 40)
    np.testing.assert_allclose(features, log_mel(noise(samples), PLAIN), atol=2e-4)  # float32 power, then a logarithm.


def test_other_window_hop_and_bands_are_honoured():
    config = FeatureConfig(
        normalize="none", sample_rate=8_000, n_fft=256, win_length=200, hop_length=80, n_mels=23, fmin=64, fmax=4_000
    )
    np.testing.assert_allclose(extract(noise(4_000), config), log_mel(noise(4_000), config), atol=2e-4)


def test_mfcc_is_the_orthonormal_cosine_transform_of_log_mel():
    config = dataclasses.replace(PLAIN, kind="mfcc", n_mfcc=20)
    expected = scipy.fft.dct(log_mel(noise(8_000), PLAIN), type=2, norm="ortho", axis=1)[:, :20]
    np.testing.assert_allclose(extract(noise(8_000), config), expected, atol=2e-3)


def test_deltas_of_a_ramp_are_its_slope_and_zero():
    # Amplitude growing by a constant factor a frame makes every log-mel a line; tones repeat from hop to hop.
    config = dataclasses.replace(PLAIN, deltas=2)
    time = np.arange(32_000)
    rate = 0.05  # nats of amplitude a frame, so 0.1 of power.
    harmonics = sum(np.cos(2 * np.pi * 50 * k * time / 16_000) for k in range(1, 140))
    features = extract(1e-4 * np.exp(rate * time / 320) * harmonics, config)
    assert features.shape == (101, 120) == (101, config.size)
    middle = features[10:-10]
    np.testing.assert_allclose(middle[:, 40:80], 2 * rate, atol=1e-3)
    np.testing.assert_allclose(middle[:, 80:], 0, atol=1e-3)


@pytest.mark.parametrize("kind", ["logmel", "mfcc"])
@pytest.mark.parametrize("samples", [1, 300, 1_000])
def test_recordings_shorter_than_a_window_or_a_difference_have_finite_features(kind, samples):
    features = extract(noise(samples), FeatureConfig(kind=kind, deltas=2))
    assert features.shape == (1 + samples // 320, FeatureConfig(kind=kind, deltas=2).size)
    assert np.isfinite(features).all()


def test_utterance_normalisation_gives_zero_mean_and_unit_variance():
    features = extract(noise(16_000), FeatureConfig()).astype(np.float64)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-5)


def test_silence_is_normalised_to_zero_not_to_nan():
    np.testing.assert_array_equal(extract(np.zeros(16_000), FeatureConfig()), np.zeros((51, 40)))
    assert extract(np.zeros(16_000), PLAIN) == pytest.approx(np.log(PLAIN.floor))


def test_corpus_normalisation_is_left_to_the_corpus():
    config = dataclasses.replace(PLAIN, normalize="corpus")
    np.testing.assert_array_equal(extract(noise(8_000), config), extract(noise(8_000), PLAIN))


def test_statistics_of_constant_features_divide_by_one():
    frames = np.array([[1, 5], [3, 5]], dtype=np.float32)
    stats = statistics(frames)
    np.testing.assert_array_equal(stats.mean, [2, 5])
    np.testing.assert_array_equal(stats.std, [1, 1])
    np.testing.assert_array_equal(normalized(frames, stats), [[-1, 0], [1, 0]])


def test_trimming_removes_silence_at_both_ends_only():
    config = dataclasses.replace(PLAIN, trim_db=30.0)
    quiet = 1e-4 * noise(8_000, seed=1)
    speech = np.concatenate([noise(4_800), 1e-4 * noise(3_200, seed=2), noise(4_800, seed=3)])
    frames = len(extract(np.concatenate([quiet, speech, quiet]), config))
    assert abs(frames - len(speech) / 320) <= 4  # A window at either end overlaps the speech.


@pytest.mark.parametrize("place", [0, 8_000, 15_999])
def test_trimming_keeps_a_few_frames_around_a_click(place):
    waveform = np.zeros(16_000, dtype=np.float32)
    waveform[place] = 0.5
    features = extract(waveform, dataclasses.replace(PLAIN, trim_db=20.0))
    assert 5 <= len(features) <= 7
    assert features.max() > np.log(PLAIN.floor) + 5  # The click is in them.
    assert len(extract(waveform[:200], dataclasses.replace(PLAIN, trim_db=20.0))) == 1


def test_filters_are_made_once():
    arguments = (16_000, 512, 40, 20.0, 7_600.0)
    assert mel_filters(*arguments) is mel_filters(*arguments)


def test_bands_without_a_bin_are_an_error():
    with pytest.raises(ValueError, match=r"n_mels=256.*n_fft=512"):
        extract(noise(8_000), dataclasses.replace(PLAIN, n_mels=256))


@pytest.mark.parametrize("waveform", [np.zeros(0), np.zeros((2, 100))])
def test_waveforms_of_another_shape_are_an_error(waveform):
    with pytest.raises(ValueError, match="waveform"):
        extract(waveform, PLAIN)


def test_waveforms_too_large_for_float32_power_are_an_error():
    with pytest.raises(ValueError, match="not finite"):
        extract(1e25 * noise(8_000), PLAIN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "plp"), ("sample_rate", 0), ("n_fft", 399), ("n_fft", 512.0), ("hop_length", 0), ("n_mels", 0),
        ("n_mfcc", 41), ("deltas", 3), ("fmin", -1.0), ("fmin", 7_600.0), ("fmax", 8_001.0), ("floor", 0.0),
        ("floor", float("nan")), ("trim_db", 0.0), ("normalize", "speaker"),
    ],
)  # fmt: skip
def test_config_refuses_a_value_that_gives_no_features(name, value):
    with pytest.raises(ValueError, match="FeatureConfig") as info:
        FeatureConfig(**{name: value})
    assert repr(value) in str(info.value) or str(value) in str(info.value)


def test_features_of_a_long_recording_are_those_of_librosa_on_all_of_it(monkeypatch):
    config = FeatureConfig(trim_db=30.0, normalize="none", n_mels=40)
    waveform = np.random.default_rng(0).normal(size=50_000).astype(np.float32) * 0.1
    waveform[:9_000] *= 1e-4
    waveform[41_000:] *= 1e-4
    whole = extract(waveform, config)
    monkeypatch.setattr(module, "_BLOCK", 37)
    np.testing.assert_array_equal(extract(waveform, config), whole)
    trimmed, _ = librosa.effects.trim(waveform, top_db=30.0, frame_length=config.n_fft, hop_length=config.hop_length)
    assert len(whole) == 1 + len(trimmed) // config.hop_length
