"""Networks that look at recordings: batches hold few of them, and rows keep their order."""

import jax
import numpy as np
import pytest

from jaxmeta.checking.losses import TranscriptLosses
from jaxmeta.checking.voices import MOST, Voices
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.recognition.recogniser import Recogniser, RecogniserCard
from jaxmeta.types import Model, Ragged


def test_voices_are_compared_by_row_whatever_batch_they_came_in():
    rng = np.random.default_rng(0)
    names = [f"s{number // 10}" for number in range(80)]
    means = rng.normal(size=(8, 32))
    own = [means[number // 10] + 0.5 * rng.normal(size=32) for number in range(80)]
    given = names.copy()
    for row in range(5):
        given[row] = "other"
    sizes = []

    def embed(frames):
        sizes.append(len(frames))
        return np.stack([each[0] for each in frames])

    # A waveform is its own features: a vector, repeated 50 to 450 times.
    voices = Voices(16_000, lambda waveform: waveform, embed, [*given, ""])
    for row in range(80):
        assert voices.wants(row)
        voices.take(row, np.tile(own[row], (rng.integers(50, 450), 1)))
    assert not voices.wants(80) and max(sizes) == 16
    cases = voices.cases()
    assert {case.kind for case in cases} == {"one-voice-two-names"}
    assert [case.row for case in cases] == [0, 1, 2, 3, 4] and sum(sizes) == 80


def test_of_a_name_with_many_recordings_some_are_looked_at_from_first_to_last():
    voices = Voices(16_000, lambda waveform: waveform, lambda frames: np.stack(frames), ["a"] * 1_000 + ["b"])
    wanted = [row for row in range(1_001) if voices.wants(row)]
    assert len(wanted) == MOST + 1 and wanted[0] == 0 and wanted[-2:] == [999, 1_000]


@pytest.mark.slow
def test_a_transcript_that_is_another_recording_s_has_an_unusual_loss():
    """Each character is a tone, and the network gives each frame the character of its loudest band."""
    config = FeatureConfig(n_mels=16, hop_length=160, normalize="none")
    texts = ["abcabc", "bcabca", "cabcab", "acbacb", "baccab"] * 6
    vocabulary = build_vocabulary(texts)
    pitch, time = {"a": 300.0, "b": 1_000.0, "c": 3_000.0}, np.arange(1_600) / 16_000
    tones = {each: 0.3 * np.sin(2 * np.pi * hertz * time) for each, hertz in pitch.items()}
    bands = {}
    rng = np.random.default_rng(0)

    def waveform(text):
        return (np.concatenate([tones[each] for each in text]) + 0.01 * rng.normal(size=9_600)).astype(np.float32)

    from jaxmeta.data.features import extract

    for each in "abc":
        bands[each] = int(extract(tones[each].astype(np.float32), config).mean(axis=0).argmax())
    weight = np.zeros((16, 4), np.float32)
    for each, band in bands.items():
        weight[band, vocabulary.encode(each)[0]] = 1.0

    def apply(params, state, inputs, key, train):
        return Ragged(inputs.values @ params, inputs.lengths), state

    def builder(classes):
        return Model(lambda key, inputs: (weight, {}), apply)

    card = RecogniserCard("tones", {}, config, subsampling=1)
    recogniser = Recogniser(card, vocabulary, jax.numpy.asarray(weight), builder)
    wrong = ["cccccc" if row == 4 else text for row, text in enumerate(texts)] + ["xyz"]
    losses = TranscriptLosses(recogniser, wrong)
    for row, text in enumerate(texts):
        assert losses.wants(row)
        losses.take(row, waveform(text))
    assert not losses.wants(len(texts))
    assert [(case.kind, case.row) for case in losses.cases()] == [("loss", 4)]
