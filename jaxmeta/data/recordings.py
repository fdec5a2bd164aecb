"""Features of audio files that a user gives, as a trained network expects them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

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
        place = f"{file}" if where is None else f"{where(index)}: {file}"
        try:
            waveform, _ = decode(file, rate)
            own = soundfile.info(file).samplerate
            if own != rate and not resample:
                raise AudioError(f"is at {own} Hz and the network at {rate} Hz; give --resample to convert it.")
            features.append(extract(waveform, config))
        except ValueError as error:
            raise AudioError(f"{place}: {error}") from error
    return features
