"""A small corpus of waves on the disk."""

import numpy as np
import pytest
import soundfile

from jaxmeta.data.manifest import write_manifest


@pytest.fixture
def make_waves(tmp_path):
    """A function that writes `count` recordings of noise at 16 kHz, of 0.1 s and more, with a label and a speaker."""

    def make(count: int, name: str = "words", seed: int = 0):
        folder = tmp_path / name
        folder.mkdir()
        rng = np.random.default_rng(seed)
        for i in range(count):
            soundfile.write(folder / f"{i}.wav", 0.1 * rng.standard_normal(1600 + 320 * i), 16_000, subtype="PCM_16")
        columns = {
            "file_name": [f"{i}.wav" for i in range(count)],
            "label": [f"word{i % 2}" for i in range(count)],
            "speaker": [f"s{i // 2}" for i in range(count)],
        }
        write_manifest(folder, columns)
        return folder

    return make
