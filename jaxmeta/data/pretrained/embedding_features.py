"""What the pretrained embeddings of words and of speakers were trained on, by librosa; waveforms are at 16 kHz."""

import librosa
import numpy as np

from jaxmeta.data.features import mel_filters

_HOP, _WINDOW = 160, 400


def word_mels(waveform: np.ndarray) -> np.ndarray:
    """Log-mels of a waveform [S], float32 [1 + (S - 512) // 160, 32], for `models.pretrained.word_embedding`.

    Shorter recordings are padded to 12,512 samples, which one embedding needs.
    Source: the features of openWakeWord, for a whole recording and not for a stream of pieces.
    """
    waveform = np.asarray(waveform, np.float32)
    padded = np.pad(waveform, (0, max(0, 512 + 75 * _HOP - len(waveform))))
    spectrum = librosa.stft(32_767 * padded, n_fft=512, hop_length=_HOP, win_length=_WINDOW, center=False)
    power = mel_filters(16_000, 512, 32, 60.0, 3_800.0) @ np.square(np.abs(spectrum))
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    return (np.maximum(decibels, decibels.max() - 80) / 10 + 2).T.astype(np.float32)


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
