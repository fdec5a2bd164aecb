"""Utterances of several words, made of recordings of single words."""

from collections.abc import Sequence
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
    texts = [" ".join(columns["transcription"][rows].tolist()) for rows in utterances]
    return _joined(corpus, utterances, texts)


def compound_words(corpus: Corpus, pairs: Sequence[tuple[str, str]], language: str, seed: int) -> Corpus:
    """Words of two words: a speaker's recordings of the first, each with one of the second after it.

    Args:
      corpus: as in `join_words`, with single words.
      pairs: of transcriptions, which are different words; each recording is in one compound.
      language: of the compounds, which are transcribed by their words with "+" between.
      seed: of which recordings stand together.
    """
    said, speaker = corpus.columns["transcription"], corpus.columns["speaker"]
    rng = np.random.default_rng(seed)
    utterances: list[np.ndarray] = []
    texts: list[str] = []
    for name in np.unique(speaker):
        for pair in pairs:
            own = (rng.permutation(np.flatnonzero((speaker == name) & (said == word))) for word in pair)
            made = [np.array(rows) for rows in zip(*own, strict=False)]
            utterances += made
            texts += ["+".join(pair)] * len(made)
    return _joined(corpus, utterances, texts).with_column("language", np.full(len(texts), language))


def _joined(corpus: Corpus, utterances: Sequence[np.ndarray], texts: Sequence[str]) -> Corpus:
    """Recordings one after another; an utterance has the values of the first of its rows, but for its text."""
    joined = concatenate([_reordered(corpus, np.concatenate(utterances))])
    sizes = np.array([len(rows) for rows in utterances])
    first = np.cumsum(sizes) - sizes
    names = ("language", "speaker", "split", "recording")
    return replace(
        joined,
        start=joined.start[first],
        length=np.add.reduceat(joined.length, first).astype(np.int32),
        columns={name: joined.columns[name][first] for name in names} | {"transcription": np.array(texts)},
    )


def _reordered(corpus: Corpus, order: np.ndarray) -> Corpus:
    columns = {name: column[order] for name, column in corpus.columns.items()}
    return replace(corpus, start=corpus.start[order], length=corpus.length[order], columns=columns)
