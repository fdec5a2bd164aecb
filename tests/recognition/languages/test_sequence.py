"""Languages learnt one after another: what replay stores, and the order of what is recognised."""

from pathlib import Path

import numpy as np

from jaxmeta import Ragged
from jaxmeta.data.sampling.by_language import rows_of_language
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.decoding.error_rates import word_edits
from jaxmeta.recognition.languages.sequence import LanguageSequence
from jaxmeta.recognition.presets import LanguageTraining
from jaxmeta.recognition.transcription import transcribe_rows
from tests.languages import LONGEST, NAMES, corpus_of_languages

CORPUS = corpus_of_languages()
VOCABULARY = build_vocabulary(CORPUS.columns["transcription"])


def test_what_replay_stores_of_a_language_is_of_its_training_and_stays():
    training = LanguageTraining(1, 1e-3, 4, LONGEST, stored=5, replayed=2)

    def stored(place: int) -> np.ndarray:
        sequence = LanguageSequence(
            [], CORPUS, VOCABULARY, NAMES, training, Path(), count=word_edits, seed=0, config={}
        )  # fmt: skip
        return sequence.stored(place)

    assert len(set(stored(1).tolist())) == 5
    assert set(stored(1)) <= set(rows_of_language(CORPUS, "bb", "train", LONGEST))
    np.testing.assert_array_equal(stored(1), stored(1))


def test_what_is_recognised_comes_back_in_order_whatever_the_batches():
    """A recogniser that writes as many times class 1 as the row's number has tens."""
    rows = np.arange(3, 30)

    def recognise(speech: Ragged) -> Ragged:
        assert speech.values.shape == (8, LONGEST, 2)
        lengths = (speech.values[:, 0, 0].astype(int) - 1) // 10
        return Ragged(np.ones((8, 5), np.int32), lengths)

    unit = VOCABULARY.units[0]
    texts = transcribe_rows(CORPUS, VOCABULARY, rows, LONGEST, recognise, size=8)
    assert texts == [unit * (row // 10) for row in rows.tolist()]
