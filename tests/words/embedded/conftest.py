"""Embedded words that are Gaussian clusters, as corpora with the columns of recordings."""

import numpy as np
import pytest

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.word_corpora import Words


def cluster_corpus(words: range, spread: float, frames: int = 3, size: int = 32, takes: int = 24) -> Corpus:
    """Recordings of words, each of some frames [S, D] around the word's own mean."""
    means = np.random.default_rng(0).normal(size=(100, frames, size))
    rng = np.random.default_rng(words.start + 1)
    labels = np.repeat(np.array(words), takes)
    vectors = means[labels] + spread * rng.normal(size=(len(labels), frames, size))
    columns = {
        "file_name": np.array([f"{number}.flac" for number in range(len(labels))]),
        "label": np.char.add("word", labels.astype(str)),
        "corpus": np.full(len(labels), "clusters"),
        "pool": np.full(len(labels), "recorded"),
    }
    length = np.full(len(labels), frames, np.int32)
    return Corpus(vectors.reshape(-1, size).astype(np.float32), np.arange(len(labels)) * frames, length, columns)


@pytest.fixture(scope="session")
def clusters():
    """Training words 0 to 39, validation words 30 to 39 (which the search must not train on), test words 50 to 69."""
    train, val, test = (cluster_corpus(words, 1.5) for words in (range(40), range(30, 40), range(50, 70)))
    return Words(train, {"clusters": test}, {"clusters": val}, {}, {})
