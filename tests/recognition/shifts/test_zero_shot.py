"""A public Whisper on words of a language: how its transcripts become words, and what is counted."""

import numpy as np
import pytest

from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser
from jaxmeta.recognition.shifts import zero_shot
from jaxmeta.recognition.shifts.zero_shot import folded, in_words, zero_shot_row
from tests.recognition.shifts.test_shift import corpus_of


def test_punctuation_and_marks_are_dropped():
    assert folded("數字、語言！") == "數字 語言"
    assert folded("أَرْبَــعَة") == "أربعة"


def test_known_words_stand_alone_and_the_rest_stays():
    words = {"北京": "w0", "上海": "w1", "4": "w2"}
    assert in_words("上海北京", words) == "w1 w0"
    assert in_words("我在北京。4", words) == "我在 w0 w2"
    assert in_words("...", words) == ""


def test_the_longest_spelling_counts():
    assert in_words("قف توقف", {"قف": "w0", "توقف": "w1"}) == "w0 w1"


def test_words_wrong_are_counted_over_test_utterances_alone(monkeypatch):
    corpus = corpus_of(
        ["w0 w1", "w1", "w0", "w1"], ["train", "test", "test", "test"], ["a", "b", "c", "c"], language=["zh"] * 4
    )
    monkeypatch.setattr(zero_shot, "_encoded", lambda whisper, frames: frames)
    monkeypatch.setattr(zero_shot, "write", lambda whisper, memory, code: ["北京"] * len(memory))
    row = zero_shot_row(WhisperRecogniser, corpus, "zh", "zh", {"北京": "w0", "上海": "w1"}, 10)
    # Of three utterances two say the other word.
    assert row["error"] == pytest.approx(200 / 3) and row["error_low"] <= row["error"] <= row["error_high"]
    assert np.isfinite(row["error_high"]) and row["method"] == "Whisper as it is, --language zh"
