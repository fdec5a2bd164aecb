"""Recordings of words that stand one after another."""

import numpy as np

from jaxmeta.data.synthesis.joined_words import join_words
from tests.languages import corpus_of_languages


def test_words_stand_in_rows_by_one_speaker_with_their_frames_one_after_another():
    corpus = corpus_of_languages()
    rows = join_words(corpus, seed=0)
    texts = [text.split() for text in rows.columns["transcription"].tolist()]
    assert {len(text) for text in texts} == {1, 2, 3}
    number = 0
    for row, text in enumerate(texts):
        found = rows.frames[rows.start[row] : rows.start[row] + rows.length[row], 0]
        members = (found[np.flatnonzero(np.diff(found, prepend=0))] - 1).astype(int)
        number += len(members)
        assert corpus.columns["transcription"][members].tolist() == text
        assert len(found) == corpus.length[members].sum()
        for name in ("language", "speaker", "split"):
            assert set(corpus.columns[name][members]) == {rows.columns[name][row]}
    assert number == len(corpus)
