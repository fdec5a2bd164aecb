"""A Whisper, and utterances of the sentences corpus that teach ten words and test them."""

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.data.recordings import read_waveforms
from jaxmeta.data.sampling.subsets import containing
from jaxmeta.files.folders import data_folders
from jaxmeta.recognition.pretrained.adapter import read_adapted, with_whisper_adapters
from jaxmeta.recognition.pretrained.bases import is_public
from jaxmeta.recognition.pretrained.transcription import comparable, encode
from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser, load_whisper
from jaxmeta.types import PyTree

SHOTS = 5
"""Recordings of each word that teach it."""
WORDS = {
    "validation": ("best", "long", "work", "first"),
    "test": ("house", "world", "today", "eyes", "room", "people", "walked", "place", "hand", "life"),
}


class Base(NamedTuple):
    """A recogniser as it is without adaptation."""

    recogniser: WhisperRecogniser
    below: WhisperRecogniser
    """Without the adapters."""
    adapters: PyTree | None
    """None: it is public, and has none."""


def read(folder: Path, base: Path | None) -> Base:
    """A public Whisper, or one with trained adapters; raises as `load_whisper` and `read_adapted` do."""
    if is_public(folder):
        whisper = load_whisper(folder)
        return Base(whisper, whisper, None)
    trained = read_adapted(folder, base)
    return Base(with_whisper_adapters(trained.recogniser, trained.adapters), trained.recogniser, trained.adapters)


class Part:
    """Recordings, which are encoded once they are needed."""

    def __init__(self, corpus: Corpus, encoded: Callable[[Corpus], list[np.ndarray]]) -> None:
        self.corpus, self._encoded = corpus, encoded

    @cached_property
    def memory(self) -> list[np.ndarray]:
        """What the encoder gives for each, [T, D]."""
        return self._encoded(self.corpus)

    def with_others(self, other: "Part") -> "Part":
        """Both."""
        return Part(concatenate([self.corpus, other.corpus]), self._encoded)


class Parts(NamedTuple):
    """Words, what teaches them, and what tests them."""

    name: str
    words: list[str]
    taught: Part
    """Utterances with them, by training speakers."""
    other: Part
    """As many without any."""
    having: Part
    """Utterances with one of them, by other speakers."""
    free: Part
    """Utterances without."""


def read_parts(base: Base, queries: int, seed: int) -> tuple[Parts, Parts]:
    """Utterances of the validation words, and of the test words.

    Half of the training speakers teach. A public Whisper, which was not trained on the corpus, is tested by the others
    and the test speakers, and one that was trained on them by the validation and test speakers alone.
    Args:
      base: that is tested.
      queries: utterances of each word, at most.
      seed: of the utterances that teach.
    Raises:
      ValueError: JAXMETA_DATA lacks `en_nonnative_sentences`.
    """
    (folder,) = data_folders("en_nonnative_sentences")
    corpus = load_corpus(folder, base.recogniser.features)
    corpus = corpus.select(corpus.length <= 800)
    encoded = partial(_memory, base, folder)
    val, test = (
        _parts(name, corpus, queries, seed, encoded, trained=base.adapters is not None) for name in WORDS
    )  # fmt: skip
    return val, test


def _parts(
    name: str, corpus: Corpus, queries: int, seed: int, encoded: Callable[[Corpus], list[np.ndarray]], *, trained: bool
) -> Parts:
    words = list(WORDS[name])
    said = [set(comparable(text).split()) for text in corpus.columns["transcription"].tolist()]
    split, speakers = corpus.columns["split"], np.unique(corpus.columns["speaker"])
    teaches = (split == "train") & np.isin(corpus.columns["speaker"], speakers[::2])
    tests = (split != "train") if trained else (split == "test") | ((split == "train") & ~teaches)
    rng = np.random.default_rng(seed)
    taught, having = np.zeros((2, len(corpus)), bool)
    for word in words:
        own = np.array([word in each and len(each & {*words}) == 1 for each in said])
        taught[rng.permutation(np.flatnonzero(own & teaches))[:SHOTS]] = True
        having[np.random.default_rng(0).permutation(np.flatnonzero(own & tests))[:queries]] = True
    free = ~containing(corpus, [word.upper() for each in WORDS.values() for word in each])
    other, elsewhere = np.zeros((2, len(corpus)), bool)
    other[rng.permutation(np.flatnonzero(free & teaches))[: taught.sum()]] = True
    # Other utterances for validation than for the test.
    places = np.random.default_rng(0).permutation(np.flatnonzero(free & tests))
    elsewhere[places[list(WORDS).index(name) :: 2][:100]] = True
    return Parts(name, words, *(Part(corpus.select(mask), encoded) for mask in (taught, other, having, elsewhere)))


def _memory(base: Base, folder: Path, corpus: Corpus) -> list[np.ndarray]:
    files = [folder / name for name in corpus.columns["file_name"].tolist()]
    return [encode(base.recogniser, wave).astype(np.float16) for wave in read_waveforms(16_000, files)]
