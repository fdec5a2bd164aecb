"""A corpus of tones that stand for words by several speakers."""

from pathlib import Path

import numpy as np
import pytest

from jaxmeta.data.audio import write_audio
from jaxmeta.data.manifest import write_manifest


def tones(folder: Path, words=12, speakers=3, takes=4, splits=True) -> Path:
    """A manifest of chirps: the word is the slope, the speaker the pitch; half of both are for testing."""
    columns = {name: [] for name in ("file_name", "label", "speaker", "split", "word_split")}
    for word in range(words):
        for speaker in range(2 * speakers):
            for take in range(takes):
                time = np.arange(4000) / 16000
                pitch = 300 + 60 * speaker + 5 * take
                wave = 0.3 * np.sin(2 * np.pi * (pitch * time + 600 * (word + 1) * time**2))
                name = f"audio/{word}_{speaker}_{take}.flac"
                (folder / "audio").mkdir(parents=True, exist_ok=True)
                write_audio(folder / name, wave.astype(np.float32), 16000)
                split, word_split = ("test" if speaker >= speakers else "train"), ("test" if word % 2 else "train")
                for column, value in zip(columns, (name, f"word{word}", f"s{speaker}", split, word_split), strict=True):
                    columns[column].append(value)
    if not splits:
        columns = {name: columns[name] for name in ("file_name", "label", "speaker")}
    write_manifest(folder, columns)
    return folder


@pytest.fixture(scope="session")
def tones_folder(tmp_path_factory):
    return tones(tmp_path_factory.mktemp("data") / "tones")
