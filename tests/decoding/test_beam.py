"""Beam search against sums over every alignment, with and without lexicon and language model."""

import functools
import itertools
import math
import sys
from collections import defaultdict

import numpy as np
import pytest

from jaxmeta.decoding import beam, flashlight_beam, prefix_search
from jaxmeta.decoding.beam import Hypothesis
from jaxmeta.decoding.ngram import log_probability, train_ngram, write_arpa

UNITS = ["a", "b", " "]
EXHAUSTIVE = {"beam": 100_000, "threshold": math.inf}
LEXICON = {"a": "a", "ab": "ab", "bb": "bb", "B": "bb"}
NO_FLASHLIGHT = pytest.mark.skipif(
    not flashlight_beam.installed(), reason="the extra 'decode' is not installed, or there is none for this Python"
)


@pytest.fixture(params=[pytest.param("flashlight", marks=NO_FLASHLIGHT), "numba"])
def ctc_beam(request):
    """The search by each engine."""
    return functools.partial(beam.ctc_beam, engine=request.param)


def random_log_probs(seed, frames, classes=4):
    logits = np.random.default_rng(seed).normal(size=(frames, classes), scale=1.5)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def marginals(log_probs, key=lambda labels: labels):
    """Log-probability of each sequence of labels: the sum over its alignments."""
    sums = defaultdict(float)
    frames, classes = log_probs.shape
    for path in itertools.product(range(classes), repeat=frames):
        labels = tuple(label for label, _ in itertools.groupby(path) if label)
        sums[key(labels)] += math.exp(sum(log_probs[t, label] for t, label in enumerate(path)))
    return {labels: math.log(total) for labels, total in sums.items()}


def spell(labels):
    return "".join(UNITS[label - 1] for label in labels)


def assert_scores(actual, expected):
    """All hypotheses once, best first, with these scores."""
    keyed = dict(actual)
    assert len(keyed) == len(actual) and set(keyed) == set(expected)
    for key, score in expected.items():
        assert keyed[key] == pytest.approx(score, abs=1e-5)  # flashlight reads float32
    scores = [score for _, score in actual]
    assert scores == sorted(scores, reverse=True)


def model(tmp_path, sentences, order=3):
    ngram, path = train_ngram(sentences, order), tmp_path / "lm.arpa"
    write_arpa(ngram, path)
    return ngram, path


@pytest.mark.parametrize("seed", range(3))
def test_an_exhaustive_beam_sums_over_all_alignments(ctc_beam, seed):
    log_probs = random_log_probs(seed, 5)
    actual = ctc_beam(UNITS, **EXHAUSTIVE)(log_probs, 5)
    assert_scores([(h.labels, h.score) for h in actual], marginals(log_probs))
    assert all(h.words == tuple(spell(h.labels).split()) for h in actual)


def test_a_text_may_begin_with_any_unit(ctc_beam):
    # With the search's silence at " ", a first " " would be read as a repetition, and lost.
    log_probs = np.log(np.array([[0.01, 0.01, 0.01, 0.97], [0.01, 0.97, 0.01, 0.01]]))
    assert ctc_beam(UNITS)(log_probs, 2)[0].labels == (3, 1)


def test_the_sum_over_alignments_can_beat_the_best_path(ctc_beam):
    log_probs = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))  # blank blank 0.36; "a" 0.16 + 0.24 + 0.24
    best = ctc_beam(["a"])(log_probs, 2)[0]
    assert best == Hypothesis(("a",), (1,), pytest.approx(math.log(0.64), abs=1e-6))


def test_a_language_model_of_units_is_added_in_nats(ctc_beam, tmp_path):
    ngram, path = model(tmp_path, ["ab ab", "a b", "bb a ", "ba"])
    log_probs = random_log_probs(7, 4)
    actual = ctc_beam(UNITS, arpa=path, lm_weight=0.7, **EXHAUSTIVE)(log_probs, 4)
    expected = {
        labels: score + 0.7 * log_probability(ngram, spell(labels)) for labels, score in marginals(log_probs).items()
    }
    assert_scores([(h.labels, h.score) for h in actual], expected)


def words_of(labels):
    return tuple(spell(labels).split())


def by_lexicon(log_probs):
    """Log-probability of each sequence of the lexicon's words, over alignments with any spaces around them."""
    expected = {}
    for written, score in marginals(log_probs, words_of).items():
        named = [[word for word, spelling in LEXICON.items() if spelling == text] for text in written]
        expected |= dict.fromkeys(itertools.product(*named), score)
    return expected


@pytest.mark.parametrize("seed", range(3))
def test_a_lexicon_allows_its_words_with_spaces_between(ctc_beam, seed):
    log_probs = random_log_probs(seed, 6)
    actual = ctc_beam(UNITS, lexicon=LEXICON, **EXHAUSTIVE)(log_probs, 6)
    assert_scores([(h.words, h.score) for h in actual], by_lexicon(log_probs))
    assert ("a", "bb", "a") in {
        h.words for h in ctc_beam(UNITS, lexicon=LEXICON, **EXHAUSTIVE)(random_log_probs(0, 8), 8)
    }
    assert all(spell(h.labels) == " ".join(LEXICON[word] for word in h.words) for h in actual)


def test_a_language_model_of_words_is_added_in_nats(ctc_beam, tmp_path):
    ngram, path = model(tmp_path, [["a", "B"], ["ab"], ["bb", "a"], ["B", "B", "a"]], 2)
    log_probs = random_log_probs(3, 6)
    decode = ctc_beam(UNITS, lexicon=LEXICON, arpa=path, lm_weight=1.3, word_score=0.4, **EXHAUSTIVE)
    expected = {
        words: score + 1.3 * log_probability(ngram, words) + 0.4 * len(words)
        for words, score in by_lexicon(log_probs).items()
    }
    assert_scores([(h.words, h.score) for h in decode(log_probs, 6)], expected)


def test_a_narrow_beam_finds_the_best_of_peaked_outputs(ctc_beam):
    log_probs = random_log_probs(4, 6) * 4
    log_probs -= np.log(np.exp(log_probs).sum(-1, keepdims=True))
    expected = marginals(log_probs)
    actual = ctc_beam(UNITS, beam=4)(log_probs, 6)
    assert len(actual) <= 4 and actual[0].labels == max(expected, key=expected.get)


@pytest.mark.parametrize("lexicon", [None, LEXICON])
def test_frames_beyond_the_length_are_inert(ctc_beam, lexicon):
    decode = ctc_beam(UNITS, lexicon=lexicon)
    log_probs = random_log_probs(5, 6)
    padded = np.concatenate([log_probs[:4], np.full((3, 4), np.nan)])
    assert decode(padded, 4) == decode(log_probs[:4], 4)
    assert decode(padded, 0) == [Hypothesis((), (), 0.0)]


def test_an_impossible_class_is_never_read(ctc_beam):
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.array([[0.5, 0.5, 0.0, 0.0]] * 3))
        late = np.log(np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]]))
    actual = ctc_beam(UNITS, **EXHAUSTIVE)(log_probs, 3)
    assert_scores([(h.labels, h.score) for h in actual], marginals(log_probs[:, :2]))
    # Two ways to an "a" that cannot be, before one that can: their sum of infinities must not spoil it.
    actual = ctc_beam(["a"], **EXHAUSTIVE)(late, 3)
    assert_scores([(h.labels, h.score) for h in actual], {(): math.log(0.5), (1,): math.log(0.5)})
    only_b = np.array([[-np.inf, -np.inf, 0.0, -np.inf]])
    assert ctc_beam(UNITS, lexicon=LEXICON)(only_b, 1) == []  # "b" is no word


ARGUMENTS = [
    ({"units": []}, "units must be distinct"),
    ({"units": ["a", "a"]}, r"\['a'\] again"),
    ({"units": ["a", ""]}, "units must be distinct"),
    ({"beam": 0}, "beam=0"),
    ({"threshold": 0}, "threshold=0"),
    ({"lm_weight": -1}, "lm_weight=-1"),
    ({"word_score": 1.0}, "needs a lexicon"),
    ({"units": ["a"], "lexicon": {"a": "a"}}, "unit ' '"),
    ({"lexicon": {}}, "a word at least"),
    ({"lexicon": {"cab": "cab"}}, r"'cab' is spelled .* not \['c'\]"),
    ({"lexicon": {"a b": "a b"}}, r"not \[' '\]"),
    ({"lexicon": {"": ""}}, "'' is spelled"),
    ({"lexicon": {f"a{i}": "a" for i in range(7)}}, "more than 6 words"),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS)
def test_arguments_out_of_range_are_errors(ctc_beam, arguments, message):
    with pytest.raises(ValueError, match=message):
        ctc_beam(**{"units": UNITS, **arguments})


@pytest.mark.parametrize(
    ("values", "length", "message"),
    [
        (np.zeros((3, 3)), 3, r"shape \[T, C=4\]"),
        (np.zeros(4), 1, "shape"),
        (np.zeros((3, 4)), 4, r"length in \[0, T\]"),
        (np.full((3, 4), np.nan), 3, "hold NaN"),
        (np.ones((3, 4)), 3, "above 0"),
    ],
)
def test_outputs_that_are_no_log_probabilities_are_errors(ctc_beam, values, length, message):
    with pytest.raises(ValueError, match=message):
        ctc_beam(UNITS)(values, length)


def test_a_model_that_lacks_units_or_words_is_an_error(ctc_beam, tmp_path):
    _, path = model(tmp_path, ["ab", "ba"])
    with pytest.raises(ValueError, match=r"lacks 1 units or words, such as \[' '\]"):
        ctc_beam(UNITS, arpa=path)
    with pytest.raises(ValueError, match=r"lacks 3 units or words, such as \['B', 'ab', 'bb'\]"):
        ctc_beam(UNITS, lexicon=LEXICON, arpa=path)


def test_a_damaged_model_is_an_error(ctc_beam, tmp_path):
    _, path = model(tmp_path, ["ab ", "ba"])
    text = path.read_text()
    for damaged in (text[: len(text) // 2], text.replace("ngram 1=", "ngram 1=1")):
        path.write_text(damaged)
        with pytest.raises(ValueError, match="cannot be used"):
            ctc_beam(UNITS, arpa=path)
    with pytest.raises(ValueError, match=r"none\.arpa' cannot be read"):
        ctc_beam(UNITS, arpa=tmp_path / "none.arpa")


def test_a_missing_flashlight_is_named_or_done_without(monkeypatch):
    monkeypatch.setitem(sys.modules, "flashlight.lib.text.decoder", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxmeta\[decode\]'"):
        beam.ctc_beam(UNITS, engine="flashlight")
    assert beam.ctc_beam(UNITS)(np.log([[0.2, 0.6, 0.1, 0.1]]), 1)[0].words == ("a",)


def test_an_unknown_engine_is_an_error():
    with pytest.raises(ValueError, match="engine='kaldi' is not known"):
        beam.ctc_beam(UNITS, engine="kaldi")


def test_the_search_compiles_where_no_folder_takes_its_program():
    source: dict = {}
    exec("def double(x): return 2 * x", source)  # numba has nowhere to keep what comes from no file
    assert prefix_search.compiled(source["double"])(3) == 6
