"""A small recogniser with random weights, and a folder of recordings of one voice."""

import signal

import jax
import numpy as np
import pytest

from jaxmeta.cli.main import main
from jaxmeta.data.audio import write_audio
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import write_manifest
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.interrupts import patience
from jaxmeta.recognition.recogniser import Recogniser, RecogniserCard, network
from jaxmeta.types import Ragged
from tests.programs import compiled

TEXTS = ["ab", "ba ab", "b", "a ba"]
SAID = ["ab", "ba ab", "bab", "a ba", "ab a", "ba b"]
SPEAKERS = ["anna", "anna", "ben", "carl", "dora", "emma"]


@pytest.fixture(scope="session")
def recogniser():
    features = FeatureConfig(n_mels=16, hop_length=160, normalize="none")
    card = RecogniserCard("dnn", {"width": 16, "depth": 1}, features, rate=0.3, steps=20, case="lower")
    vocabulary = build_vocabulary(TEXTS)
    inputs = Ragged(np.zeros((1, 8, 16), np.float32), np.full(1, 8, np.int32))
    params, _ = compiled(network(card, vocabulary).init)(jax.random.key(0), inputs)
    return Recogniser(card, vocabulary, params)


def write_voice(folder, texts=TEXTS, rate=16_000, **columns):
    """Recordings in which each character is a tone of its own, with their transcripts.

    Columns are added to those of files and transcripts, or take their place; None leaves one out.
    """
    (folder / "audio").mkdir(parents=True)
    pitch, time = {"a": 400.0, "b": 1_500.0, " ": 0.0}, np.arange(int(0.12 * rate)) / rate
    names = [f"audio/{index}.wav" for index in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        tones = [0.3 * np.sin(2 * np.pi * pitch.get(character.lower(), 700.0) * time) for character in text]
        write_audio(folder / name, np.concatenate(tones).astype(np.float32), rate)
    columns = {"file_name": names, "transcription": texts} | columns
    write_manifest(folder, {name: values for name, values in columns.items() if values is not None})
    return folder


@pytest.fixture(scope="session")
def voice_folder(tmp_path_factory):
    return write_voice(tmp_path_factory.mktemp("voice") / "mine")


def interrupted(make, at):
    """A factory of samplers, as `make` is, which are interrupted when they are asked for batch `at`, once."""
    sent = []

    def make_interrupted(*arguments, **options):
        sampler = make(*arguments, **options)

        def sample(index):
            if index == at and not sent:
                sent.append(at)
                patience.seconds = 600.0  # A busy machine takes long to end a step; training puts it back.
                signal.raise_signal(signal.SIGTERM)
            return sampler(index)

        return sample

    return make_interrupted


def run_interrupted(arguments, out, monkeypatch, module, name, make_interrupted):
    """Run a command that a sampler interrupts, whose factory of this name in a module is another; then run it again."""
    with monkeypatch.context() as patch:
        patch.setattr(module, name, make_interrupted)
        with pytest.raises(SystemExit) as stop:
            main(arguments)
    assert stop.value.code == 143 and not (out / "card.json").exists()
    main(arguments)
