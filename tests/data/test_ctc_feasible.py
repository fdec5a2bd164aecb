"""Utterances that CTC cannot align are found exactly, named, and left out."""

import itertools
import logging

import numpy as np
import pytest

from jaxmeta.data import audio
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.ctc_feasible import drop_infeasible, infeasible
from jaxmeta.data.vocabulary import build_vocabulary

VOCABULARY = build_vocabulary(["ab"])


def make_corpus(texts, lengths):
    length = np.asarray(lengths, np.int32)
    columns = {
        "file_name": np.array([f"{row}.wav" for row in range(len(texts))]),
        "transcription": np.array(texts),
    }
    frames = np.zeros((int(length.sum()), 1), np.float32)
    return Corpus(frames, np.cumsum(length, dtype=np.int64) - length, length, columns)


def collapsed(path):
    """What CTC reads off a path: repetitions merged, then blanks dropped."""
    return [label for label, _ in itertools.groupby(path) if label]


def test_feasible_is_where_some_path_collapses_to_the_labels():
    texts = ["".join(text) for size in (1, 2, 3) for text in itertools.product("ab", repeat=size)]
    rows = list(itertools.product(texts, range(1, 6)))
    corpus = make_corpus([text for text, _ in rows], [frames for _, frames in rows])
    expected = []
    for row, (text, frames) in enumerate(rows):
        labels = VOCABULARY.encode(text).tolist()
        if not any(collapsed(path) == labels for path in itertools.product(range(3), repeat=frames)):
            expected.append(row)
    assert [one.row for one in infeasible(corpus, VOCABULARY, lambda lengths: lengths)] == expected
    assert 0 < len(expected) < len(rows)


def test_frames_are_those_that_come_out_of_the_network():
    corpus = make_corpus(["abab", "abab", "aabb"], [13, 12, 20])
    actual = infeasible(corpus, VOCABULARY, lambda lengths: -(-lengths // 4))
    assert actual == [
        (1, "recording '1.wav' (row 1 of the corpus) has 3 output frames for 4 labels"),
        (2, "recording '2.wav' (row 2 of the corpus) has 5 output frames for 4 labels and 2 between equal ones"),
    ]


def test_they_are_left_out_and_said_once(caplog):
    audio._said.cache_clear()
    corpus = make_corpus(["abab"] * 10, [3] * 7 + [4] * 3)
    with caplog.at_level(logging.WARNING, logger="jaxmeta"):
        kept = [drop_infeasible(corpus, VOCABULARY, lambda lengths: lengths) for _ in range(2)]
    assert [corpus.columns["file_name"].tolist() for corpus in kept] == [["7.wav", "8.wav", "9.wav"]] * 2
    (message,) = [record.message for record in caplog.records]
    assert message.startswith("7 of 10 utterances are left out")
    assert ": recording '0.wav' (row 0 of the corpus) has 3 output frames" in message
    assert message.count("recording") == 3 and message.endswith("; and others.")


def test_a_corpus_that_fits_is_returned_as_it_is_without_a_word(caplog):
    corpus = make_corpus(["ab"], [2])
    assert drop_infeasible(corpus, VOCABULARY, lambda lengths: lengths) is corpus and not caplog.records


def test_nothing_left_and_a_wrong_number_of_frames_are_errors():
    corpus = make_corpus(["ab", "aa"], [1, 2])
    with pytest.raises(ValueError, match=r"none of 2 utterances: recording '0.wav'.*Use a network"):
        drop_infeasible(corpus, VOCABULARY, lambda lengths: lengths)
    with pytest.raises(ValueError, match=r"frames_out must map lengths \(2,\).*got shape \(\)"):
        infeasible(corpus, VOCABULARY, lambda lengths: lengths.max())
