"""Recordings as hidden states of a public speaker network: words as they are, and sentences in pieces."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxmeta.data.pretrained.embedding_features import speaker_mels
from jaxmeta.data.word_corpora import CORPORA
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.files.folders import data_folders
from jaxmeta.models.pretrained.speaker_embedding import STRETCH, read_speaker_embedding, speaker_states
from jaxmeta.words.embedded.corpora import embed_corpus
from jaxmeta.words.embedded.embeddings import CLIP, RATE, Embedding, trimmed
from jaxmeta.words.embedded.spaces import frames_of

SENTENCES = "en_nonnative_sentences"
WORD = round(0.6 * RATE)
"""Samples of a piece of a sentence that is as short as a word."""
PIECES = 2
"""Of a sentence."""


class Spoken(NamedTuple):
    """Recordings, or pieces of them, of one corpus in one form."""

    corpus: str
    vectors: np.ndarray
    """[N, 768] float32."""
    speakers: np.ndarray
    """[N] names."""
    split: np.ndarray
    """[N]."""
    fingerprint: str


def load_speech(weights: Path) -> dict[str, list[Spoken]]:
    """Recordings under JAXMETA_DATA, embedded once and then cached.

    Args:
      weights: a safetensors file of Resemblyzer.
    Returns:
      words: one vector a recording. pieces: two of each sentence, as short as a word. sentences: means of the two.
    Raises:
      ValueError: a corpus is missing, or other weights.
    """
    *words, sentences = data_folders(*CORPORA, SENTENCES)
    once, in_pieces = states(weights, 1, CLIP), states(weights, PIECES, WORD)
    return {
        "words": [_spoken(folder, once) for folder in words],
        "sentences": [_spoken(sentences, in_pieces, whole=True)],
        "pieces": [_spoken(sentences, in_pieces)],
    }


def _spoken(folder: Path, embedding: Embedding, whole: bool = False) -> Spoken:
    corpus = embed_corpus(folder, embedding)
    frames, columns = frames_of(corpus), corpus.columns
    times = 1 if whole else frames.shape[1]
    vectors = frames.mean(1) if whole else frames.reshape(-1, frames.shape[2])
    speakers, split = (np.repeat(columns[name], times) for name in ("speaker", "split"))
    return Spoken(folder.name, vectors, speakers, split, corpus.fingerprint)


def states(weights: Path, count: int, samples: int) -> Embedding:
    """Mean hidden states of stretches that lie evenly spaced in a recording.

    Args:
      weights: a safetensors file of Resemblyzer.
      count: of stretches.
      samples: of each, which is repeated until it is as long as the network has learnt to hear, 1.6 s.
    Raises:
      ValueError: other weights. OSError: no such file.
    """
    params, model = read_speaker_embedding(weights), speaker_states()

    def features(waveform: np.ndarray) -> np.ndarray:
        parts = stretches(trimmed(waveform), count, samples)
        return np.concatenate([speaker_mels(repeated(part))[:STRETCH] for part in parts])

    @jax.jit
    def apply(params, inputs):
        return model.apply(params, {}, inputs, jax.random.key(0), False)[0]

    name = f"states {count} {samples} {params_digest(params)}"
    return Embedding("Resemblyzer", hashlib.sha256(name.encode()).hexdigest(), features, apply, params)


def stretches(waveform: np.ndarray, count: int, samples: int) -> list[np.ndarray]:
    """Stretches of at most so many samples, the first and last at the ends of the waveform.

    >>> [part.tolist() for part in stretches(np.arange(5), 2, 3)]
    [[0, 1, 2], [2, 3, 4]]
    """
    last = max(0, len(waveform) - samples)
    starts = np.linspace(0, last, count).astype(int) if count > 1 else [last // 2]
    return [waveform[start : start + samples] for start in starts]


def repeated(waveform: np.ndarray) -> np.ndarray:
    """The waveform over and over, for 1.6 s."""
    return np.resize(waveform, CLIP)
