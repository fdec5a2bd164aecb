"""A small assistant with random weights, and recordings of two voices that its network tells apart."""

import jax
import numpy as np
import pytest

from jaxmeta.data.audio import write_audio
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import write_manifest
from jaxmeta.models.speaker import word_and_speaker
from jaxmeta.types import Ragged
from jaxmeta.verification.assistant import Assistant, AssistantCard
from jaxmeta.verification.calibration import Calibration
from tests.programs import compiled

WORDS, RATE = ("hum", "whistle"), 16_000
FEATURES = FeatureConfig(n_mels=24, hop_length=160, normalize="none", trim_db=30.0)


@pytest.fixture(scope="session")
def assistant():
    inputs = Ragged(np.zeros((1, 8, 24), np.float32), np.full(1, 8, np.int32))
    params, _ = compiled(word_and_speaker(width=16, embedding=8).init)(jax.random.key(0), inputs)
    rng = np.random.default_rng(0)
    cohort = rng.normal(size=(6, 8)).astype(np.float32)
    cohort /= np.linalg.norm(cohort, axis=1, keepdims=True)
    far = rng.normal(size=(5, 64)).astype(np.float32)
    card = AssistantCard(
        16, 8, FEATURES, 40, 6, 3, 2, 0, Calibration(400.0, -383.0), Calibration(1.0, 0.0), Calibration(1.0, 0.0)
    )
    return Assistant(card, params, cohort, far[:3], far[3:])


def waveform(word, voice, take, rate=RATE):
    """A word is the course of the pitch, a voice the pitch and what lies above it; takes differ in level and noise."""
    rng = np.random.default_rng([take, len(word), len(voice)])
    time = np.arange(int(0.6 * rate)) / rate
    base = {"low": 150.0, "other": 900.0}[voice] * (1 + (word == "whistle") * time)
    phase = 2 * np.pi * np.cumsum(base) / rate
    sound = np.sin(phase) + {"low": 0.6, "other": 0.0}[voice] * np.sin(7 * phase)
    return ((0.2 + 0.1 * rng.random()) * sound + 0.001 * rng.normal(size=len(time))).astype(np.float32)


def write_voice(folder, voice="low", takes=3, rate=RATE, first=0, **columns):
    """A manifest of every word, several times."""
    folder.mkdir(parents=True)
    names, labels = [], []
    for word in WORDS:
        for take in range(first, first + takes):
            names.append(f"{word}_{take}.wav")
            labels.append(word)
            write_audio(folder / names[-1], waveform(word, voice, take, rate), rate)
    write_manifest(folder, {"file_name": names, "label": labels} | columns)
    return folder


@pytest.fixture(scope="session")
def voice_folder(tmp_path_factory):
    return write_voice(tmp_path_factory.mktemp("voices") / "low")


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory):
    return write_voice(tmp_path_factory.mktemp("voices") / "other", "other")
