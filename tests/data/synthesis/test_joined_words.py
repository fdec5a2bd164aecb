"""Recordings of words that stand one after another."""

import numpy as np

from jaxmeta.data.synthesis.joined_words import compound_words, join_words
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


def test_a_compound_is_a_recording_of_one_word_and_then_one_of_another_by_the_same_speaker():
    corpus = corpus_of_languages()
    said, speaker = corpus.columns["transcription"], corpus.columns["speaker"]
    pair = tuple(np.unique(said[speaker == speaker[0]]).tolist()[:2])
    made = compound_words(corpus, [pair], "longer", seed=0)
    assert {*made.columns["transcription"]} == {"+".join(pair)} and {*made.columns["language"]} == {"longer"}
    used = []
    for row in range(len(made)):
        frames = made.frames[made.start[row] : made.start[row] + made.length[row], 0]
        members = (frames[np.flatnonzero(np.diff(frames, prepend=0))] - 1).astype(int)
        assert tuple(said[members]) == pair and {*speaker[members]} == {made.columns["speaker"][row]}
        used += members.tolist()
    counts = [min(np.sum((speaker == name) & (said == word)) for word in pair) for name in np.unique(speaker)]
    assert len(made) == sum(counts) and len(used) == len(set(used))
