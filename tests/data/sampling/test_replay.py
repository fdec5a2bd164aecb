"""Batches of one shape, with and without stored utterances."""

import numpy as np
import pytest

from jaxmeta.data.sampling.by_language import rows_of_language
from jaxmeta.data.sampling.replay import batches_of_rows, with_replay
from jaxmeta.data.vocabulary import build_vocabulary
from tests.languages import LONGEST, corpus_of_languages, rows_in

CORPUS = corpus_of_languages()
VOCABULARY = build_vocabulary(CORPUS.columns["transcription"])


def test_an_epoch_of_batches_has_every_utterance_once_in_one_shape():
    rows = rows_of_language(CORPUS, "bb", "train", LONGEST)
    sampler = batches_of_rows(CORPUS, VOCABULARY, rows, size=4, padded=LONGEST, seed=0)
    batches = [sampler(index).query for index in range(3)]
    assert sorted(np.concatenate([rows_in(batch)[0] for batch in batches]).tolist()) == rows.tolist()
    assert {batch.inputs.values.shape for batch in batches} == {(1, 4, LONGEST, 2)}
    texts = CORPUS.columns["transcription"]
    labels = VOCABULARY.encode(str(texts[rows_in(batches[0])[0, 0]]))
    assert batches[0].targets.values[0, 0, : len(labels)].tolist() == labels.tolist()


def test_replay_adds_stored_utterances_to_every_batch_and_nothing_else():
    stored, rows = (rows_of_language(CORPUS, language, "train", LONGEST) for language in ("aa", "bb"))
    stored = stored[:3]
    fresh = batches_of_rows(CORPUS, VOCABULARY, rows, size=4, padded=LONGEST, seed=0)
    replay = with_replay(fresh, stored, 2)
    for index in range(4):
        rows = rows_in(replay(index).query)[0]
        assert rows[:4].tolist() == rows_in(fresh(index).query)[0].tolist()
        assert len(rows) == 6 and set(rows[4:]) <= set(stored.tolist())
        np.testing.assert_array_equal(rows, rows_in(replay(index).query)[0])
    assert set(np.concatenate([replay.rows(index)[0][4:] for index in range(20)])) == set(stored.tolist())
    with pytest.raises(ValueError, match="replay needs stored utterances"):
        with_replay(fresh, stored[:0], 2)
