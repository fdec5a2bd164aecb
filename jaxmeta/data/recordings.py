"""Audio files that a user gives, as the waveforms or features that a trained network expects."""

import hashlib
from collections.abc import Callable, Sequence

import librosa
import numpy as np

from jaxmeta.data.audio import Audio, AudioError, decode
from jaxmeta.data.features import FeatureConfig, extract
from jaxmeta.data.manifests.clips import as_clip

SILENT = 1e-4
"""Root mean square of 25 ms below which nobody speaks, where 1 is full scale (-80 dB)."""
QUIET_DB = 40.0
"""A stretch this far below the loudest one holds no speech either."""


def read_features(
    config: FeatureConfig,
    files: Sequence[Audio],
    where: Callable[[int], str] | None = None,
    *,
    resample: bool = False,
    least_sound: float = 0.0,
) -> list[np.ndarray]:
    """Features [T, F] of each file, T at least 1, as a network wants them.

    Args:
      config: of the features.
      files: audio files, or pieces of them.
      where: names the row of a file for errors.
      resample: take other sample rates too; a lower one lacks the upper bands that the network was trained with.
      least_sound: seconds that are not silent, which every file must have.
    Raises:
      AudioError: a file cannot be used, has another sample rate, or is silent; names it.
    """

    def read(file):
        return extract(_waveform(file, config.sample_rate, resample, least_sound), config)

    return _each(files, where, read)


def read_waveforms(
    sample_rate: int,
    files: Sequence[Audio],
    where: Callable[[int], str] | None = None,
    *,
    resample: bool = False,
    least_sound: float = 0.0,
) -> list[np.ndarray]:
    """Waveforms [S] of each file at a sample rate in Hz; other arguments and errors are those of `read_features`."""
    return _each(files, where, lambda file: _waveform(file, sample_rate, resample, least_sound))


def _waveform(file: Audio, rate: int, resample: bool, least_sound: float) -> np.ndarray:
    recording = decode(file, rate)
    if (own := recording.sample_rate) != rate and not resample:
        raise AudioError(f"is at {own} Hz and the network at {rate} Hz; give --resample to convert it.")
    if least_sound and (sounding := sounding_seconds(recording.waveform, rate)) < least_sound:
        raise AudioError(
            f"is silent but for {sounding:.2f} s, and {least_sound:g} s of speech are needed; record it again."
        )
    return recording.waveform


def _each(
    files: Sequence[Audio], where: Callable[[int], str] | None, read: Callable[[Audio], np.ndarray]
) -> list[np.ndarray]:
    """What each file is read as; errors name it, and its row."""
    results = []
    for index, file in enumerate(files):
        try:
            results.append(read(file))
        except (ValueError, MemoryError) as error:
            path = as_clip(file).path
            said = f"{error}" if path in str(error) else f"{path}: {error}"
            raise AudioError(said if where is None else f"{where(index)}: {said}") from error
    return results


def sounding_seconds(waveform: np.ndarray, sample_rate: int) -> float:
    """Seconds of a waveform [S] that are neither silent nor far quieter than its loudest part.

    >>> tone = np.sin(np.arange(16_000) / 5)
    >>> round(sounding_seconds(np.concatenate([tone, 0 * tone]), 16_000), 1)
    1.0
    """
    frame, hop = round(0.025 * sample_rate), round(0.01 * sample_rate)
    if len(waveform) < frame:
        return 0.0
    levels = librosa.feature.rms(y=waveform, frame_length=frame, hop_length=hop, center=False)[0]
    return float((levels > max(SILENT, levels.max() * 10 ** (-QUIET_DB / 20))).sum() * hop / sample_rate)


def digest(recording: np.ndarray) -> str:
    """SHA-256 of a recording's samples or features, by which copies of it are known."""
    return hashlib.sha256(f"{len(recording)} ".encode() + recording.tobytes()).hexdigest()


def first_copies(recordings: Sequence[np.ndarray]) -> list[int]:
    """For each recording the first one that sounds the same to the last bit: itself, unless it is a copy.

    >>> first_copies([np.ones((2, 3)), np.zeros((2, 3)), np.ones((2, 3))])
    [0, 1, 0]
    """
    first: dict[str, int] = {}
    return [first.setdefault(digest(frames), row) for row, frames in enumerate(recordings)]
