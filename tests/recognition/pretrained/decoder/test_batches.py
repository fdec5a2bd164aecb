"""Transcripts as tokens: in small letters where their case says nothing, and refused where they do not fit."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxmeta.data.corpus import Corpus
from jaxmeta.recognition.pretrained.decoder.batches import Tokens, case_of, learnable


class Letters:
    """A token for each character."""

    def encode(self, text):
        return np.array([ord(letter) for letter in text], np.int32)


def test_transcripts_in_one_case_are_spelled_in_small_letters():
    assert case_of(["ONE TWO", "IT'S 3"]) == "upper" and case_of(["one"]) == "lower" and case_of(["One"]) == "as it is"
    for case, spelled in (("upper", " one two"), ("as it is", " ONE two")):
        values, lengths = Tokens(Letters(), case, 20).encode_rows(["ONE  two", "A"], str)
        assert "".join(map(chr, values[0])) == spelled and lengths.tolist() == [8, 2]


@pytest.mark.parametrize(("text", "count"), [(" ", 0), ("five letters", 13)])
def test_a_transcript_without_tokens_or_with_too_many_is_named(text, count):
    with pytest.raises(ValueError, match=f"row 1: the transcript has {count} tokens, and this Whisper writes 1 to 12"):
        Tokens(Letters(), "lower", 12).encode_rows(["ok", text], lambda row: f"row {row}")


def test_long_recordings_are_left_out_whatever_their_transcripts():
    length, texts = np.array([300, 200, 10], np.int32), np.array(["twelve letters", "ONE", "TWO"])
    start = np.array([0, 300, 500])
    corpus = Corpus(np.zeros((510, 1), np.float32), start, length, {"transcription": texts})
    whisper = SimpleNamespace(features=SimpleNamespace(frame_rate=100.0), tokenizer=Letters(), longest=12)
    assert learnable(corpus, whisper, 2.0).columns["transcription"].tolist() == ["ONE", "TWO"]
    with pytest.raises(ValueError, match="the transcript has 15 tokens"):
        learnable(corpus, whisper, 3.0)
    with pytest.raises(ValueError, match="leaves no utterance"):
        learnable(corpus, whisper, 0.05)
