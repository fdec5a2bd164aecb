"""Recordings to try an assistant on."""

import numpy as np
import pytest

from jaxmeta.data.audio import read_audio
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import read_manifest, write_manifest
from jaxmeta.words.examples import write_examples
from tests.verification.conftest import write_voice


def test_recordings_to_try_an_assistant_on(tmp_path):
    for voice in ("low", "other"):
        write_voice(tmp_path / "corpus" / voice, voice)
    names = [f"{v}/{w}_{t}.wav" for v in ("low", "other") for w in ("hum", "whistle") for t in range(3)]
    columns = {
        "file_name": names,
        "speaker": [n.split("/")[0] for n in names],
        "label": [n[n.index("/") + 1 : -6] for n in names],
    }
    write_manifest(tmp_path / "corpus", columns)
    some = load_corpus(tmp_path / "corpus", FeatureConfig(n_mels=24), progress=False)
    write_examples(some, tmp_path / "corpus", tmp_path)
    assert read_manifest(tmp_path / "voice").columns["label"].tolist() == ["hum", "hum", "whistle", "whistle"]
    assert sorted(path.stem for path in (tmp_path / "clips").iterdir()) == [
        "other_hum", "other_whistle", "own_hum", "own_whistle", "several",
    ]  # fmt: skip
    seconds = len(read_audio(tmp_path / "clips" / "several.flac")) / 16_000
    np.testing.assert_allclose(seconds, 3 * 0.6 + 4 * 0.5, atol=0.01)
    with pytest.raises(ValueError, match="said twice by 'low'"):
        write_examples(some.select(np.arange(len(some)) % 3 == 0), tmp_path / "corpus", tmp_path)
