"""Rows of adaptation to languages, by a learner that writes one letter by its rate, steps and utterances."""

import jax.numpy as jnp

from jaxmeta import MetaLearner, Ragged
from jaxmeta.data.sampling.by_language import language_episodes
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.decoding.error_rates import word_edits
from jaxmeta.evaluation.adaptation import AdaptationProtocol
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.languages import language_table, scores
from jaxmeta.evaluation.transcripts import Transcripts
from tests.languages import LONGEST, corpus_of_languages

CORPUS = corpus_of_languages()
VOCABULARY = build_vocabulary(CORPUS.columns["transcription"])


def writes_a_letter(rate, steps):
    """Writes class 1 + rate * steps * (utterances of the support set)."""

    def adapt(params, state, support, key):
        return params + rate * steps * support.weight.sum(), {}

    def predict(params, state, fast, inputs, key, train):
        rows = len(inputs.lengths)
        return Ragged(jnp.broadcast_to(1 + fast.astype(int), (rows, 1)), jnp.ones(rows, jnp.int32)), state

    return MetaLearner(None, adapt, predict, None)


def first_letters(references, hypotheses):
    return word_edits([text[0] for text in references], hypotheses)


def test_languages_have_rows_of_their_own_and_methods_are_compared_with_the_first(tmp_path):
    """Texts are a letter of the language and a number."""
    episodes = language_episodes(
        CORPUS, VOCABULARY, ("cc", "aa"), "test", supports=(1, 2), draws=2, query=6, max_frames=LONGEST, seed=0
    )
    protocol = AdaptationProtocol(episodes, VOCABULARY, tmp_path, decode=lambda labels: labels)
    right = VOCABULARY.units.index("c")
    methods = [
        ChosenMethod(name, writes_a_letter, jnp.zeros(()), rate, 1) for name, rate in (("m", right / 2), ("n", 0.5))
    ]
    rows = {
        (row["language"], row["method"], row["utterances"]): row
        for row in language_table(methods, protocol, (0, 2), first_letters)
    }
    assert len(rows) == 8
    assert rows["cc", "m", 2]["error"] == 0 and rows["cc", "m", 0]["error"] == 100 and rows["cc", "m", 0]["steps"] == 0
    assert rows["cc", "n", 2]["against"] == 100 and "against" not in rows["cc", "m", 2]
    assert rows["aa", "m", 2]["error"] == 100 and rows["aa", "n", 2]["against"] == 0


def test_exact_matches_are_whole_texts():
    said = ["a b", "c d", "a d", "c b"]
    found = scores(Transcripts(said, ["x b", "c d", "x d", "c b"], ["ann", "ann", "bob", "bob"]), None, word_edits)
    assert found["error"] == 25 and found["exact"] == 50
