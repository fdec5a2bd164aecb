"""Voices by words: what is left out of a fit, and errors of speakers that are far apart."""

import numpy as np
import pytest

from experiments.voices import __main__ as voices
from experiments.voices.data import Spoken, repeated, stretches


def spoken(corpus, speakers, seed, spread=0.1):
    """Ten recordings of each speaker around a direction of their own; the last five speakers are of the test."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"{corpus}{number}" for number in range(speakers)], 10)
    centres = np.repeat(rng.normal(size=(speakers, 16)), 10, axis=0)
    split = np.repeat(["train"] * (speakers - 5) + ["test"] * 5, 10)
    vectors = (centres + spread * rng.normal(size=centres.shape)).astype(np.float32)
    return Spoken(corpus, vectors, names, split, "fingerprint")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(voices, "SIZES", (4, 8))


@pytest.fixture(scope="module")
def speech():
    return {"words": [spoken("a", 17, 0), spoken("b", 17, 1)], "pieces": [spoken("c", 20, 2)]}


@pytest.mark.parametrize("name", voices.FITTED)
def test_speakers_that_are_far_apart_are_told_and_their_cohort_has_each_training_speaker(speech, name):
    fitted = voices.fit(speech, name)[8]
    assert fitted.cohort.shape == ({"words": 24}.get(name, 39), 8)
    rows = voices.test(speech["words"][0], "fitted", fitted, 0)
    assert [(row["clips"], row["in a row"]) for row in rows] == [(1, 1), (3, 1), (5, 1), (5, 3)]
    assert max(row["EER %"].value for row in rows) < 3


def test_a_fold_is_left_out_of_the_fit_and_of_the_mean(speech):
    left_out = ["a0", "a1"]
    changed = [speech["words"][0]._replace(vectors=speech["words"][0].vectors.copy()), speech["words"][1]]
    changed[0].vectors[:20] = 100
    before, after = (voices.fit({"words": each}, "words", left_out)[8] for each in (speech["words"], changed))
    np.testing.assert_array_equal(before.space.projection, after.space.projection)
    rows = voices.validated(speech, "words", 0)
    assert [row["size"] for row in rows] == [4, 8] and rows[1]["mean"] < 3


def test_stretches_cover_a_recording_and_short_ones_repeat():
    assert [part.tolist() for part in stretches(np.arange(6), 3, 2)] == [[0, 1], [2, 3], [4, 5]]
    assert stretches(np.arange(5), 1, 3)[0].tolist() == [1, 2, 3]
    assert repeated(np.arange(3.0))[:7].tolist() == [0, 1, 2, 0, 1, 2, 0]
