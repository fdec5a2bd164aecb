"""What the experiment on speakers tells a recogniser: vectors of others, of strangers, and of variance 1."""

from typing import Any, cast

import numpy as np

from experiments.speakers import data
from experiments.speakers.__main__ import enrolled, strangers
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes, AdaptationGroup


def corpus(speakers):
    """Recordings of two frames each, which say their row."""
    rows = len(speakers)
    columns = {"speaker": np.array(speakers), "file_name": np.array([f"{row}.wav" for row in range(rows)])}
    frames = np.repeat(np.arange(rows, dtype=np.float32), 2)[:, None]
    return Corpus(frames, 2 * np.arange(rows), np.full(rows, 2, np.int32), columns)


def test_an_utterance_is_enrolled_by_others_of_its_speaker():
    speech = corpus(["a"] * 3 + ["b"] * 3)
    embeddings = {f"{row}.wav": np.eye(6)[row] for row in range(6)}
    for row, mean in enumerate(data.enrolled_elsewhere(speech, embeddings, 0)):
        others = [other for other in range(6) if other // 3 == row // 3 and other != row]
        np.testing.assert_allclose(mean, np.eye(6)[others].mean(0))


def test_a_stranger_is_another_speaker():
    speech = corpus(["a", "b", "c"] * 20)
    vectors = np.repeat(np.arange(60) % 3, 2).reshape(60, 2)
    assert (strangers(speech, vectors) != vectors).all()


def test_whitened_vectors_have_a_variance_of_one_and_no_covariance():
    vectors = np.random.default_rng(0).normal(size=(200, 8)) * np.arange(1, 9)
    white = data.whitening(vectors, 4)(vectors)
    np.testing.assert_allclose(white.T @ white / 200, np.eye(4), atol=1e-5)


def test_a_test_tells_the_mean_of_enrolment_that_of_the_next_speaker_or_nothing():
    speech = corpus(["a"] * 3 + ["b"] * 3)
    groups = tuple(AdaptationGroup(n, np.array([k, k + 1]), np.array([k + 2])) for n, k in (("a", 0), ("b", 3)))
    episodes = AdaptationEpisodes(speech, cast(Any, None), (2,), groups, 2, ())
    vectors = np.arange(6, dtype=np.float32)[:, None]
    for tested, wanted in (("own", [0.5, 3.5]), ("stranger's", [3.5, 0.5]), ("none", [0, 0])):
        told = enrolled(episodes, vectors, tested)
        assert told.frames[[4, 10], 1].tolist() == wanted
        assert told.frames[:, 0].tolist() == speech.frames[:, 0].tolist()
