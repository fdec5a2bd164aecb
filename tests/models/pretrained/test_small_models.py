"""The embeddings of words and of speakers and the voice activity detector: windows, padding, files."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.models.pretrained.speaker_embedding import read_speaker_embedding, speaker_embedding, speaker_states
from jaxmeta.models.pretrained.voice_activity import read_voice_activity, voice_activity
from jaxmeta.models.pretrained.word_embedding import read_word_embedding, word_embedding
from tests.models.pretrained.checkpoints import log_mels, waveforms
from tests.programs import jitted

pytestmark = pytest.mark.slow
KEY = jax.random.key(0)
FOLDER = Path(os.environ.get("JAXMETA_MODELS", "."))


def stored(name):
    """A file of public weights, which the repository does not have."""
    path = FOLDER / name
    return pytest.param(path, marks=pytest.mark.skipif(not path.is_file(), reason=f"JAXMETA_MODELS has no {name}"))


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def test_a_word_embedding_sees_the_76_frames_from_every_eighth_on():
    model, speech = jitted(word_embedding()), log_mels([110, 84], 32)
    params, state = model.init(KEY, speech)
    outputs = model.apply(params, state, speech, KEY, False)[0]
    np.testing.assert_array_equal(outputs.lengths, [5, 2])
    windows = np.stack([speech.values[0, 8 * n : 8 * n + 76] for n in range(5)])
    alone = model.apply(params, state, Ragged(windows, np.full(5, 76)), KEY, False)[0]
    np.testing.assert_allclose(outputs.values[0], alone.values[:, 0], atol=1e-5)
    assert outputs.values.shape == (2, 5, 96) and not outputs.values[1, 2:].any()
    with pytest.raises(ValueError, match="T of 76 or more, got"):
        word_embedding().init(KEY, log_mels([75], 32))


def test_states_of_each_stretch_are_those_that_the_embedding_is_made_of():
    speech = log_mels([320], 40)
    params, _ = jitted(speaker_embedding()).init(KEY, speech)
    outputs = jitted(speaker_states()).apply(params, {}, speech, KEY, False)[0]
    assert outputs.shape == (1, 2, 768)
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["lstm"])
    values = np.asarray(speech.values[0, 160:], np.float64)
    for layer in range(3):
        hidden, memory, written = np.zeros(256), np.zeros(256), []
        for frame in values:
            gates = weights[f"weight_ih_l{layer}"] @ frame + weights[f"weight_hh_l{layer}"] @ hidden
            enter, forget, new, leave = np.split(gates, 4)
            memory = sigmoid(forget) * memory + sigmoid(enter) * np.tanh(new)
            hidden = sigmoid(leave) * np.tanh(memory)
            written.append(hidden)
        values = np.array(written)
        np.testing.assert_allclose(outputs[0, 1, 256 * layer : 256 * (layer + 1)], values[40:].mean(0), atol=1e-5)


def test_a_speaker_embedding_is_the_mean_over_stretches_of_160_frames_in_steps_of_77():
    model, speech = jitted(speaker_embedding()), log_mels([300, 100], 40)
    params, state = model.init(KEY, speech)
    outputs = model.apply(params, state, speech, KEY, False)[0]
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def alone(frames):
        values = np.pad(frames, ((0, 160 - len(frames)), (0, 0)))
        for layer in range(3):
            hidden = memory = np.zeros(256)
            written = []
            for frame in values:
                gates = weights["lstm"][f"weight_ih_l{layer}"] @ frame + weights["lstm"][f"weight_hh_l{layer}"] @ hidden
                enter, forget, new, leave = np.split(gates, 4)
                memory = sigmoid(forget) * memory + sigmoid(enter) * np.tanh(new)
                hidden = sigmoid(leave) * np.tanh(memory)
                written.append(hidden)
            values = np.array(written)
        embedding = np.maximum(hidden @ weights["linear"]["kernel"], 0)
        return embedding / np.linalg.norm(embedding)

    # A third stretch, from 154 on, would have 146 frames: enough.
    mean = sum(alone(speech.values[0, start : start + 160]) for start in (0, 77, 154))
    np.testing.assert_allclose(outputs[0], mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(outputs[1], alone(speech.values[1, :100]), atol=1e-5)


def test_voice_activity_has_a_number_for_each_512_samples_and_padding_is_inert():
    model, speech = jitted(voice_activity()), waveforms([1600, 700])
    params, state = model.init(KEY, speech)
    outputs = model.apply(params, state, speech, KEY, False)[0]
    np.testing.assert_array_equal(outputs.lengths, [4, 2])
    alone = model.apply(params, state, Ragged(speech.values[1:, :700], speech.lengths[1:]), KEY, False)[0]
    np.testing.assert_allclose(outputs.values[1, :2], alone.values[0], atol=1e-6)
    assert ((outputs.values[0] > 0) & (outputs.values[0] < 1)).all() and not outputs.values[1, 2:].any()


@pytest.mark.parametrize("path", [stored("google_speech_embedding.safetensors")])
def test_the_word_embedding_gives_the_numbers_of_tflite(path):
    """As pyopen-wakeword 1.1.0 computes them."""
    inputs = np.random.default_rng(0).normal(size=(1, 76, 32, 1)).astype(np.float32)[..., 0]
    outputs = jitted(word_embedding()).apply(read_word_embedding(path), {}, Ragged(inputs, np.array([76])), KEY, False)[
        0
    ]
    np.testing.assert_allclose(outputs.values[0, 0, :4], GOOGLE, atol=1e-3)


GOOGLE = [-5.622686, 20.84774, 5.490123, -4.687001]


@pytest.mark.parametrize("path", [stored("silero_vad_16k.safetensors")])
def test_the_detector_tells_silence_from_a_file(path):
    outputs = jitted(voice_activity()).apply(
        read_voice_activity(path), {}, Ragged(np.zeros((1, 16_000), np.float32), np.array([16_000])), KEY, False
    )[0]
    assert outputs.values.max() < 0.1


@pytest.mark.parametrize("path", [stored("resemblyzer_ge2e.safetensors")])
def test_the_speaker_embedding_reads_a_file_and_names_what_it_lacks(path):
    params = read_speaker_embedding(path)
    assert params["lstm"]["weight_ih_l0"].shape == (1024, 40)
    with pytest.raises(ValueError, match=r"lacks weights 00.bias.*belong to different networks"):
        read_word_embedding(path)
