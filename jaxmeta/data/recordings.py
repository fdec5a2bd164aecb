"""Audio files that somebody gives, as features of a network that was trained on others."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from jaxmeta.data.audio import AudioError, decode
from jaxmeta.data.features import FeatureConfig, extract


def read_features(
    config: FeatureConfig,
    files: Sequence[str | Path],
    where: Callable[[int], str] | None = None,
    *,
    resample: bool = False,
) -> list[np.ndarray]:
    """Features [T, F] of each file, T at least 1, as a network wants them.

    Args:
      config: of the features.
      files: audio files.
      where: names the row of a file for errors.
      resample: take other sample rates too; a lower one lacks the upper bands that the network was trained with.
    Raises:
      AudioError: a file cannot be used, or has another sample rate; names it.
    """
    rate, features = config.sample_rate, []
    for index, file in enumerate(files):
        try:
            recording = decode(file, rate)
            if (own := recording.sample_rate) != rate and not resample:
                raise AudioError(f"is at {own} Hz and the network at {rate} Hz; give --resample to convert it.")
            features.append(extract(recording.waveform, config))
        except (ValueError, MemoryError) as error:
            said = f"{error}" if str(file) in str(error) else f"{file}: {error}"
            raise AudioError(said if where is None else f"{where(index)}: {said}") from error
    return features
