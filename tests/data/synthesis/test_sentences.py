"""Synthesised sentences: which are made, and which are held out."""

from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.synthesis.sentences import read_aloud, sentences


def test_sentences_differ_and_are_parted():
    words = sentences(200, 0)
    assert len({word.text for word in words}) == 200
    assert [sum(word.split == split for word in words) for split in ("train", "val", "test")] == [167, 8, 25]
    assert {word.text for word in sentences(200, 1)} != {word.text for word in words}


def test_transcripts_and_their_words_are_read_aloud():
    rows = read_manifest(read_aloud(["OPEN THE DOOR", "SHUT THE WINDOW"], seed=0)).columns
    texts = rows["transcription"].tolist()
    assert len(texts) == 4 and texts[:2] == ["open the door", "shut the window"]
    assert {word for text in texts for word in text.split()} <= {"open", "the", "door", "shut", "window"}
    assert all(3 <= len(text.split()) <= 8 for text in texts)
