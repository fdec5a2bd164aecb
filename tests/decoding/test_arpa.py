"""The arrays of an ARPA file against the model it was written from; damaged files."""

import itertools
import math

import numpy as np
import pytest

from jaxmeta.decoding.arpa import read_arpa
from jaxmeta.decoding.ngram import probability, train_ngram, write_arpa

SENTENCES = ["abcab", "bca", "a c", "ccc", "abab c"]


def score(model, state, word):
    """By the definition of each array, without the search's own program."""
    total = 0.0
    while True:
        children = range(model.first[state], model.first[state + 1])
        listed = [gram for gram in children if model.word[gram] == word]
        if listed:
            return total + model.log[listed[0]], model.state[listed[0]]
        total, state = total + model.backoff[state], model.shorter[state]


@pytest.mark.parametrize("order", [2, 3, 5])
def test_a_model_reads_as_it_was_written(order, tmp_path):
    ngram = train_ngram(SENTENCES, order)
    write_arpa(ngram, tmp_path / "lm.arpa")
    model, words = read_arpa(tmp_path / "lm.arpa")
    assert set(words) == {"<s>", "</s>", "<unk>", "a", "b", "c", " "}
    for text in itertools.product("ab c", repeat=4):
        state = model.state[words["<s>"] + 1]
        for end, word in enumerate((*text, "</s>")):
            log, state = score(model, state, words[word])
            expected = math.log(probability(ngram, ("<s>", *text[:end]), word))
            assert log == pytest.approx(expected, abs=1e-5)  # the arrays are of float32


def test_grams_are_sorted_and_the_longest_are_no_states(tmp_path):
    ngram = train_ngram(SENTENCES, 3)
    write_arpa(ngram, tmp_path / "lm.arpa")
    model, _ = read_arpa(tmp_path / "lm.arpa")
    for low, high in itertools.pairwise(model.first.tolist()):
        assert (np.diff(model.word[low:high]) > 0).all()
    longest = sum(len(gram) == 3 for gram in ngram.probabilities)
    assert (model.state[-longest:] == model.shorter[-longest:]).all()
    assert (model.state[:-longest] == np.arange(len(model.state) - longest)).all()


DAMAGES = [
    ("ngram 1=", "ngram 1=1", "no gram of 1 words"),
    ("ngram 2=", "ngram 2=1", "no gram of 2 words"),
    ("ngram 3=", "ngram 4=", "line 4 is not"),
    ("\\end\\", "", r"no \\end"),
    ("<s>", "<t>", "lacks <s> or </s>"),
    ("\tb c\t", "\tb z\t", "'z' is in a gram of 2 words, and no unigram"),
    ("\tb c\t", "\ta b\t", "a gram of 2 words is listed twice"),
    ("\tb\t", "\ta\t", "a unigram is listed twice"),
    ("\tb c\t", "\ta a\t", "the start of a gram of 3 words is not listed"),
    ("-99\t", "nan\t", "ends within its grams of 1 words, or one has"),
    ("-99\t", "0.5\t", "a log-probability above 0"),
    ("-99\t<s>\t", "-99\t<s>\t1\t", "no gram of 1 words"),
    ("-99\t<s>\t", "<s>\t", "no gram of 1 words"),
]


@pytest.mark.parametrize(("old", "new", "message"), DAMAGES)
def test_a_damaged_file_is_an_error(old, new, message, tmp_path):
    path = tmp_path / "lm.arpa"
    write_arpa(train_ngram(SENTENCES, 3), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=rf"lm\.arpa' cannot be used: .*{message}"):
        read_arpa(path)


def test_a_part_of_a_file_is_an_error(tmp_path):
    path = tmp_path / "lm.arpa"
    write_arpa(train_ngram(SENTENCES, 3), path)
    lines = path.read_text().splitlines(keepends=True)
    for count in range(len(lines)):
        path.write_text("".join(lines[:count]))
        with pytest.raises(ValueError, match="cannot be used"):
            read_arpa(path)
    with pytest.raises(ValueError, match=r"none\.arpa' cannot be read"):
        read_arpa(tmp_path / "none.arpa")


def test_a_model_without_unknown_words_reads(tmp_path):
    path = tmp_path / "lm.arpa"
    write_arpa(train_ngram(SENTENCES, 2), path)
    lines = [line for line in path.read_text().split("\n") if "<unk>" not in line]
    path.write_text("\n".join(lines).replace("ngram 1=7", "ngram 1=6"))
    model, words = read_arpa(path)
    assert words["<unk>"] == 6 and model.log[7] == pytest.approx(-100 * math.log(10))
    assert model.state[1:8].tolist() == [1, 2, 3, 4, 5, 6, 7]
