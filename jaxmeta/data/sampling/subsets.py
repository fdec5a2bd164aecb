"""Parts of a corpus: some utterances of some speakers, and utterances with some words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus


def some_speakers(corpus: Corpus, count: int, each: int, seed: int) -> Corpus:
    """At most `each` utterances of each of `count` speakers, all drawn at random."""
    rng, keep = np.random.default_rng(seed), np.zeros(len(corpus), bool)
    for name in rng.permutation(np.unique(corpus.columns["speaker"]))[:count]:
        keep[rng.permutation(np.flatnonzero(corpus.columns["speaker"] == name))[:each]] = True
    return corpus.select(keep)


def containing(corpus: Corpus, words: Sequence[str]) -> np.ndarray:
    """[R] whether a transcript has one of the words, in whole or as a part of another word."""
    return np.array([any(word in text for word in words) for text in corpus.columns["transcription"].tolist()])


def rare_words(corpus: Corpus, least: int = 10) -> np.ndarray:
    """[R] the rarest word of each transcript among those that so many utterances have; "" where there is none."""
    texts = [sorted(set(text.split())) for text in corpus.columns["transcription"].tolist()]
    counts = Counter(word for words in texts for word in words)
    common = [[word for word in words if counts[word] >= least] for words in texts]
    return np.array([min(words, key=lambda word: counts[word], default="") for words in common])
