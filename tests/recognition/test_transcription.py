"""Recordings of any length: stretches are joined where they overlap, and texts come as soon as they are known."""

import numpy as np
import pytest

from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.decoding.greedy import best_path
from jaxmeta.recognition.recogniser import Recogniser, RecogniserCard
from jaxmeta.recognition.transcription import STRETCH, transcribe, transcribe_each
from jaxmeta.types import Model, Ragged

VOCABULARY = build_vocabulary(["abcdefghijkl "])
FEATURES = FeatureConfig(n_mels=16, normalize="none")
SEEN = []
"""Frames that the network was traced with."""


def strided(classes, stride):
    """Every so many frames, the first features as logits."""

    def apply(params, state, inputs, key, train):
        SEEN.append(inputs.values.shape[1])
        return Ragged(inputs.values[:, ::stride, :classes] * params, -(-inputs.lengths // stride)), state

    return Model(lambda key, inputs: (np.float32(1), {}), apply)


def recogniser(stride):
    card = RecogniserCard("strided", {"stride": stride}, FEATURES, subsampling=stride)
    return Recogniser(card, VOCABULARY, np.float32(1), strided)


def speech(frames, seed=0):
    return np.random.default_rng(seed).normal(size=(frames, 16)).astype(np.float32)


def expected(frames, stride):
    """The best path of all frames at once."""
    path = frames[::stride, : VOCABULARY.size].argmax(axis=1)
    merged = [label for at, label in enumerate(path) if label and (at == 0 or label != path[at - 1])]
    return VOCABULARY.decode(merged)


@pytest.mark.parametrize("stride", [1, 3, 4])
def test_stretches_of_a_long_recording_give_what_the_whole_does(stride):
    SEEN.clear()
    recordings = [speech(frames, frames) for frames in (1, 65, STRETCH, STRETCH + 1, 3 * STRETCH + 7, 700)]
    assert transcribe(recogniser(stride), recordings) == [expected(frames, stride) for frames in recordings]
    assert max(SEEN) == STRETCH


def test_a_search_gets_the_log_probabilities_of_the_whole_recording():
    frames, given = speech(2 * STRETCH), []

    def search(logs, count):
        given.append((logs, count))
        return "text"

    assert transcribe(recogniser(4), [frames], search) == ["text"]
    ((logs, count),) = given
    logits = frames[::4, : VOCABULARY.size].astype(np.float64)
    assert count == len(logits)
    np.testing.assert_allclose(logs, logits - np.log(np.exp(logits).sum(1, keepdims=True)), atol=1e-5)


def test_the_first_text_comes_before_the_second_recording_is_read():
    read = []

    def recordings():
        for index in range(20):
            read.append(index)
            yield speech(70, index)

    texts = transcribe_each(recogniser(4), recordings())
    assert next(texts) == expected(speech(70, 0), 4) and read == [0]
    assert list(texts) == [expected(speech(70, index), 4) for index in range(1, 20)]


def test_nothing_gives_nothing():
    assert transcribe(recogniser(4), []) == []


def test_the_best_path_merges_repetitions_and_drops_blanks():
    assert best_path(np.eye(3)[[1, 1, 0, 1, 2, 2, 0, 0]]).tolist() == [1, 1, 2]
    assert best_path(np.zeros((0, 3))).tolist() == []
