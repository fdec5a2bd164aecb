"""Utterances of several words, made of recordings of single words."""

from dataclasses import replace

import numpy as np

from jaxmeta.data.corpus import Corpus, concatenate


def join_words(corpus: Corpus, seed: int, most: int = 3) -> Corpus:
    """Recordings by one speaker in one language and split, one after another, 1 to `most` in an utterance.

    Each recording is in one utterance.
    Args:
      corpus: with the columns `transcription`, `language`, `speaker`, `split` and `recording`. An utterance has the
        words of all its recordings, and of the other columns the values of the first one.
      seed: of which words stand together.
      most: words of an utterance.
    """
    columns = corpus.columns
    keys = np.array(list(zip(columns["language"], columns["speaker"], columns["split"], strict=True)))
    rng = np.random.default_rng(seed)
    utterances: list[np.ndarray] = []
    for key in np.unique(keys, axis=0):
        members = rng.permutation(np.flatnonzero((keys == key).all(axis=1)))
        ends = np.cumsum(rng.integers(1, most + 1, len(members)))
        utterances += np.split(members, ends[ends < len(members)])
    joined = concatenate([_reordered(corpus, np.concatenate(utterances))])
    sizes = np.array([len(rows) for rows in utterances])
    first = np.cumsum(sizes) - sizes
    names = ("language", "speaker", "split", "recording")
    texts = [" ".join(columns["transcription"][rows].tolist()) for rows in utterances]
    return replace(
        joined,
        start=joined.start[first],
        length=np.add.reduceat(joined.length, first).astype(np.int32),
        columns={name: joined.columns[name][first] for name in names} | {"transcription": np.array(texts)},
    )


def _reordered(corpus: Corpus, order: np.ndarray) -> Corpus:
    columns = {name: column[order] for name, column in corpus.columns.items()}
    return replace(corpus, start=corpus.start[order], length=corpus.length[order], columns=columns)
