"""Words that a Whisper is told to expect."""

from dataclasses import replace

import numpy as np
import pytest

from jaxmeta.recognition.pretrained.favoured_words import favouring, read_words
from jaxmeta.recognition.pretrained.whisper import Habits, in_bits, load_whisper


class Recorded:
    """Stands for a tokenizer, and says what it was given."""

    def __init__(self):
        self.texts = []

    def encode(self, text):
        self.texts.append(text)
        return np.array([len(self.texts)])


@pytest.mark.parametrize(
    ("writes", "expected"), [("as it is", [" McCall", " Mccall", " mccall"]), ("upper", [" mccall"])]
)
def test_words_are_favoured_as_the_recogniser_writes_them(whisper_folder, writes, expected):
    tokenizer = Recorded()
    recogniser = replace(load_whisper(whisper_folder), tokenizer=tokenizer, habits=Habits(case=writes))
    words = favouring(recogniser, ["McCall"], 3.0).words
    assert tokenizer.texts == expected and len(words.tokens) == len(expected) and words.bonus == 3.0


def test_a_file_has_a_word_or_phrase_in_each_line(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffAnne\r\n\n  New   York \n".encode())
    assert read_words(path) == ["Anne", "New York"]
    path.write_text("\n \n")
    with pytest.raises(ValueError, match="has no words; write one in each line"):
        read_words(path)
    path.write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="not in UTF-8"):
        read_words(path)


def test_no_words_and_a_bonus_out_of_range_are_refused(whisper_folder):
    recogniser = load_whisper(whisper_folder)
    with pytest.raises(ValueError, match="no words to favour"):
        favouring(recogniser, [])
    with pytest.raises(ValueError, match="bonus=-1"):
        favouring(recogniser, ["hello"], -1)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [None, 16])
def test_a_large_bonus_makes_it_write_the_word_and_none_changes_nothing(whisper_folder, bits):
    # Small letters alone: the tokenizer has no others.
    recogniser = replace(load_whisper(whisper_folder), habits=Habits(case="lower"))
    recogniser = recogniser if bits is None else in_bits(recogniser, bits)
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)

    def said(words):
        return replace(recogniser, words=words).transcribe([waveform], length=4, seconds=1.0)[0].split()

    usual = said(None)
    assert "world" in said(favouring(recogniser, ["world"], 1e4).words) and "world" not in usual
    assert said(favouring(recogniser, ["world"], 0.0).words) == usual
