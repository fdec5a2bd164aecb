"""The telephone as a condition of a corpus: `load_corpus(folder, transform=telephone())`."""

import functools
import io
from typing import Literal

import librosa
import numpy as np
import soundfile
from scipy.signal import butter, sosfiltfilt

from jaxmeta.data.extraction import WaveformTransform

Codec = Literal["GSM610", "ULAW"]
_RATE = 8_000
_BAND = (300.0, 3_400.0)
_BLOCK = 320
"""Samples of two frames of GSM 6.10, which writes no less."""


def telephone(codec: Codec = "GSM610") -> WaveformTransform:
    """Each recording as a telephone passes it on: 300 to 3400 Hz, at 8 kHz, through a codec and back.

    Its length stays. The loudest sample becomes half of full scale, as codecs depend on the level.
    Args:
      codec: "GSM610", 13 kbit/s of mobile telephones, or "ULAW", 64 kbit/s of land lines.
    Raises:
      ValueError: an unknown codec.

    >>> telephone("ULAW").name
    'telephone ULAW'
    """
    if codec not in ("GSM610", "ULAW"):
        raise ValueError(f"codec={codec!r} must be 'GSM610' or 'ULAW'.")
    return WaveformTransform(f"telephone {codec}", functools.partial(_through, codec=codec))


def _through(waveform: np.ndarray, rng: np.random.Generator, sample_rate: int, *, codec: str) -> np.ndarray:
    loudest = np.abs(waveform).max(initial=0)
    if not loudest:
        return waveform
    narrow = librosa.resample(waveform * (0.5 / loudest), orig_sr=sample_rate, target_sr=_RATE)
    narrow = sosfiltfilt(butter(4, _BAND, "bandpass", fs=_RATE, output="sos"), np.pad(narrow, (0, _BLOCK)))
    file = io.BytesIO()
    soundfile.write(file, narrow, _RATE, format="WAV", subtype=codec)
    file.seek(0)
    passed = soundfile.read(file, dtype="float32")[0]
    restored = librosa.resample(passed, orig_sr=_RATE, target_sr=sample_rate)
    return (librosa.util.fix_length(restored, size=len(waveform)) * (loudest / 0.5)).astype(np.float32)
