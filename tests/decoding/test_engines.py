"""The two engines of beam search find the same texts, with the same scores."""

import itertools
import math

import numpy as np
import pytest

from benchmarks.shared.decoders import CHARACTER_ORDER, WORD_ORDER, outputs_for
from jaxmeta.data.synthesis.sentences import sentences
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.decoding import flashlight_beam
from jaxmeta.decoding.beam import ctc_beam
from jaxmeta.decoding.ngram import train_ngram, write_arpa

pytestmark = pytest.mark.skipif(
    not flashlight_beam.installed(), reason="the extra 'decode' is not installed, or there is none for this Python"
)
TEXTS = [sentence.text for sentence in sentences(500, 0)]
NOISE = 3.0
"""Deviation of the noise that is added to the outputs, in nats: enough for wrong words and characters."""


def noisy_outputs(vocabulary, text, seed):
    logs = outputs_for(vocabulary.encode(text), vocabulary.size, seed)
    logs += NOISE * np.random.default_rng(seed).normal(size=logs.shape)
    return logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("kind", ["words", pytest.param("characters", marks=pytest.mark.slow)])
def test_both_engines_find_the_same_in_200_utterances(kind, tmp_path):
    vocabulary = build_vocabulary(TEXTS)
    if kind == "words":
        rows, order = [text.split() for text in TEXTS], WORD_ORDER
        lexicon = {word: word for row in rows for word in row}
    else:
        rows, order, lexicon = TEXTS, CHARACTER_ORDER, None
    write_arpa(train_ngram(rows, order), tmp_path / "lm.arpa")
    ours, theirs = (
        ctc_beam(vocabulary.units, lexicon=lexicon, arpa=tmp_path / "lm.arpa", beam=50, engine=engine)
        for engine in ("numba", "flashlight")
    )
    wrong = 0
    for seed, text in enumerate(TEXTS[:200]):
        outputs = noisy_outputs(vocabulary, text, seed)
        actual, expected = ours(outputs, len(outputs)), theirs(outputs, len(outputs))
        wrong += actual[0].words != tuple(text.split())
        assert actual[0][:2] == expected[0][:2]
        # Sums of the float32 logarithms that KenLM gives differ by 2e-6 at most, which orders near ties differently.
        np.testing.assert_allclose([h.score for h in actual], [h.score for h in expected], rtol=0, atol=1e-5)
        assert {h[:2] for h in actual} == {h[:2] for h in expected}
    assert 20 < wrong < 200  # Else this would be no test.


def test_both_engines_keep_the_same_of_words_spelled_alike(tmp_path):
    """In narrow beams what is promised within a word decides what is kept. B is likelier than bb, so that none tie."""
    lexicon = {"a": "a", "ab": "ab", "bb": "bb", "B": "bb", "aab": "aab"}
    rows = [["a", "B", "bb"], ["ab", "B"], ["B", "a"], ["aab", "B", "B"], ["ab", "a"]]
    write_arpa(train_ngram(rows, 3), tmp_path / "lm.arpa")
    rng = np.random.default_rng(0)
    for beam, threshold in itertools.product(range(1, 41), (2.0, 10.0, math.inf)):
        logits = 2 * rng.normal(size=(20, 4))
        outputs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        actual, expected = (
            ctc_beam(
                ["a", "b", " "], lexicon=lexicon, arpa=tmp_path / "lm.arpa", beam=beam, threshold=threshold,
                word_score=0.5, engine=engine,
            )(outputs, 20)
            for engine in ("numba", "flashlight")
        )  # fmt: skip
        assert [h[:2] for h in actual[:1]] == [h[:2] for h in expected[:1]]
        np.testing.assert_allclose([h.score for h in actual], [h.score for h in expected], rtol=0, atol=1e-5)
