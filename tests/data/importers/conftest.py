"""Recordings that lists name."""

import numpy as np
import pytest
import soundfile

from tests.data.importers.writers import SECONDS


@pytest.fixture(scope="session")
def audio(tmp_path_factory):
    """Three recordings, and beside them "long.wav" with all three."""
    folder = tmp_path_factory.mktemp("recordings")
    noise = (0.1 * np.random.default_rng(0).normal(size=round(3 * SECONDS * 16_000))).astype(np.float32)
    for place, part in enumerate(np.split(noise, 3)):
        soundfile.write(folder / f"{place}.wav", part, 16_000)
    soundfile.write(folder / "long.wav", noise, 16_000)
    return [folder / f"{place}.wav" for place in range(3)]
