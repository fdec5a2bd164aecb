"""What the pretrained embeddings of words and of speakers were trained on, by librosa; waveforms are at 16 kHz."""

import functools

import librosa
import numpy as np

from jaxmeta.data.features import mel_filters

_HOP, _WINDOW = 160, 400
STEP_SAMPLES = 1_280
"""Samples of a step of a stream: 80 ms, or 8 frames."""


def word_mels(waveform: np.ndarray) -> np.ndarray:
    """Log-mels of a waveform [S], float32 [1 + (S - 512) // 160, 32], for `models.pretrained.word_embedding`.

    Shorter recordings are padded to 12,512 samples, which one embedding needs.
    Source: the features of openWakeWord, for a whole recording and not for a stream of pieces.
    """
    waveform = np.asarray(waveform, np.float32)
    padded = np.pad(waveform, (0, max(0, 512 + 75 * _HOP - len(waveform))))
    decibels = _decibels(padded)
    return (np.maximum(decibels, decibels.max() - 80) / 10 + 2).T.astype(np.float32)


def step_mels(waveforms: np.ndarray, frames: int) -> np.ndarray:
    """The first log-mels of waveforms [..., S], float32 [..., frames, 32], in groups of 8 as a stream has them.

    They differ from `word_mels` in what counts as silence: 80 dB below the loudest value of a group, not of all of it.
    Args:
      waveforms: at 16 kHz, with 160 * frames + 352 samples or more.
      frames: how many.
    Source: the features of openWakeWord, for a stream.
    """
    decibels = np.swapaxes(_decibels(np.asarray(waveforms, np.float32))[..., :frames], -1, -2)
    group = STEP_SAMPLES // _HOP
    loudest = np.maximum.reduceat(decibels.max(axis=-1), np.arange(0, frames, group), axis=-1)
    floor = np.repeat(loudest, group, axis=-1)[..., :frames, None] - 80
    return (np.maximum(decibels, floor) / 10 + 2).astype(np.float32)


def _decibels(waveforms: np.ndarray) -> np.ndarray:
    """Of the power in each of 32 bands [..., 32, T], on the scale of 16 bits."""
    spectrum = librosa.stft(32_767 * waveforms, n_fft=512, hop_length=_HOP, win_length=_WINDOW, center=False)
    power = np.moveaxis(np.square(np.abs(spectrum)), -2, 0)
    bands = mel_filters(16_000, 512, 32, 60.0, 3_800.0) @ power.reshape(len(power), -1)
    return np.moveaxis(10 * np.log10(np.maximum(bands, 1e-10)).reshape(-1, *power.shape[1:]), 0, -2)


def word_bands(waveform: np.ndarray) -> np.ndarray:
    """Logarithms of the energy in 64 triangular bands, float32 [1 + ceil((S - 400) / 160), 64], for EfficientWord-Net.

    Args:
      waveform: [S], 400 samples or more.
    Source: Lyons' python_speech_features, as EfficientWord-Net 1.0.5 calls it: no window, no pre-emphasis.
    """
    count = 1 + -(-(len(waveform) - _WINDOW) // _HOP)
    padded = np.pad(np.asarray(waveform, np.float64), (0, (count - 1) * _HOP + _WINDOW - len(waveform)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    energies = np.square(np.abs(np.fft.rfft(frames, 512))) / 512 @ _triangles(64).T
    return np.log(np.where(energies == 0, np.finfo(float).eps, energies)).astype(np.float32)


@functools.cache
def _triangles(count: int) -> np.ndarray:
    """Bands [count, 257] of 16 kHz, even on the mel scale 2595 log(1 + f / 700), with corners rounded down to bins."""
    mels = np.linspace(0, 2595 * np.log10(1 + 8_000 / 700), count + 2)
    corners = np.floor(513 * 700 * (10 ** (mels / 2595) - 1) / 16_000)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bins = np.arange(257)
    with np.errstate(divide="ignore", invalid="ignore"):  # A side without bins is not asked.
        rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.select([(low <= bins) & (bins < middle), (middle <= bins) & (bins < high)], [rising, falling], 0.0)


def speaker_mels(waveform: np.ndarray) -> np.ndarray:
    """Mel power of a waveform [S], float32 [1 + S // 160, 40], for `models.pretrained.speaker_embedding`.

    A quiet recording is amplified to -30 dB of full scale first; silences stay, which Resemblyzer cuts out.
    """
    waveform = np.asarray(waveform, np.float32)
    level = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))
    if 0 < level < 10 ** (-30 / 20):
        waveform = waveform * np.float32(10 ** (-30 / 20) / level)
    spectrum = librosa.stft(waveform, n_fft=_WINDOW, hop_length=_HOP, pad_mode="constant")
    power = mel_filters(16_000, _WINDOW, 40, 0.0, 8_000.0) @ np.square(np.abs(spectrum))
    return power.T.astype(np.float32)
