"""Sentences as frames of a frozen recogniser, and a vector of each speaker from a public network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.pretrained.embedding_features import speaker_mels
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes, adaptation_episodes
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.greedy import greedy
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.files.folders import data_folders
from jaxmeta.models.acoustic import Size
from jaxmeta.models.pretrained.speaker_embedding import STRETCH, read_speaker_embedding, speaker_embedding
from jaxmeta.recognition.corpora import read_corpora
from jaxmeta.recognition.pretrained.encoder import read_encoder
from jaxmeta.recognition.pretrained.training import activations, frames_out
from jaxmeta.recognition.shifts.frozen_head import UpperPart, train_upper_part
from jaxmeta.types import Ragged
from jaxmeta.words.embedded.corpora import embed_corpus
from jaxmeta.words.embedded.embeddings import Embedding, centred

SENTENCES = "en_nonnative_sentences"
SIZE = Size(192, 2)
"""Of the head, whose lowest layer is frozen after training."""
NUMBERS = 32
"""Of a speaker's vector."""
ENROLLED, QUERIES = 5, 15
"""Utterances that enrol a speaker, and others that are recognised."""
ROWS = 30
"""Utterances that are recognised at once."""


class Sentences(NamedTuple):
    """Frames [*, width] below what learns, of training speakers and of those of the test and the validation."""

    train: Corpus
    val: AdaptationEpisodes
    test: AdaptationEpisodes
    vocabulary: Vocabulary
    upper: UpperPart
    fingerprints: dict[str, str]


def load_sentences(base: Path, directory: Path, updates: int, batch: int) -> Sentences:
    """The corpus under JAXMETA_DATA through the frozen encoder and a head that is trained on all training speakers.

    Args:
      base: folder of the public encoder.
      directory: of the head's training.
      updates, batch: of the head.
    Raises:
      ValueError: the corpus is missing, or the base.
    """
    encoder = read_encoder(base)
    folders = data_folders(SENTENCES)
    speech = read_corpora(folders, drop=True, features=encoder.features, frames_out=frames_out(encoder))

    def encode(corpus: Corpus) -> Corpus:
        return activations(encoder, corpus, 0)

    upper = train_upper_part(
        encode, speech.train, speech.vocabulary, SIZE, directory, updates=updates, batch=batch, seed=0,
        config={"base": encoder.sha256, "data": speech.train.fingerprint},
    )  # fmt: skip
    train, held_out = upper.encode(speech.train), upper.encode(speech.held_out)
    val, test = (
        adaptation_episodes(
            held_out.select(split=split), speech.vocabulary, supports=(ENROLLED,), query=QUERIES, seed=0
        )
        for split in ("val", "test")
    )
    fingerprints = {folder.name: speech.train.fingerprint for folder in folders}
    return Sentences(train, val, test, speech.vocabulary, upper, fingerprints | {"base": encoder.sha256})


def speaker_vectors(weights: Path) -> dict[str, np.ndarray]:
    """File name -> embedding [256] of the middle 1.6 s of every sentence; cached."""
    params, model = read_speaker_embedding(weights), speaker_embedding()

    def features(waveform: np.ndarray) -> np.ndarray:
        return speaker_mels(centred(waveform))[:STRETCH]

    @jax.jit
    def apply(params, inputs):
        return model.apply(params, {}, inputs, jax.random.key(0), False)[0][:, None]

    digest = f"speaker embedding, middle, {params_digest(params)}"
    corpus = embed_corpus(data_folders(SENTENCES)[0], Embedding("Resemblyzer", digest, features, apply, params))
    return dict(zip(corpus.columns["file_name"].tolist(), corpus.frames, strict=True))


def enrolled_elsewhere(corpus: Corpus, embeddings: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """For each utterance the mean embedding [R, 256] of five others by its speaker."""
    rng, rows = np.random.default_rng(seed), embeddings_of(corpus, embeddings)
    speakers = corpus.columns["speaker"]
    means = np.empty_like(rows)
    for row, speaker in enumerate(speakers.tolist()):
        others = np.setdiff1d(np.flatnonzero(speakers == speaker), [row])
        means[row] = rows[rng.choice(others, min(ENROLLED, len(others)), replace=False)].mean(0)
    return means


def embeddings_of(corpus: Corpus, embeddings: dict[str, np.ndarray]) -> np.ndarray:
    """Of each utterance of a corpus [R, 256]."""
    return np.stack([embeddings[name] for name in corpus.columns["file_name"].tolist()])


class Whitening(NamedTuple):
    """The directions in which training speakers differ most, each of variance 1."""

    mean: np.ndarray
    directions: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """[R, 256] -> [R, 32]."""
        return ((vectors - self.mean) @ self.directions).astype(np.float32)


def whitening(vectors: np.ndarray, size: int = NUMBERS) -> Whitening:
    """Principal components of vectors [R, D], scaled to a variance of 1."""
    mean = vectors.mean(0)
    _, singular, rows = np.linalg.svd(vectors - mean, full_matrices=False)
    return Whitening(mean, rows[:size].T * np.sqrt(len(vectors)) / singular[:size])


def with_vectors(corpus: Corpus, vectors: np.ndarray) -> Corpus:
    """The corpus with a vector [R, C] of each utterance behind the numbers of all its frames."""
    frames = np.concatenate([corpus.frames[a : a + n] for a, n in zip(corpus.start, corpus.length, strict=True)])
    frames = np.concatenate([frames, np.repeat(vectors, corpus.length, axis=0)], axis=1, dtype=np.float32)
    start = np.cumsum(corpus.length, dtype=np.int64) - corpus.length
    return replace(corpus, frames=frames, start=start)


def first_pass(sentences: Sentences, corpus: Corpus) -> Ragged:
    """Labels that the recogniser writes itself, of each utterance [R, L]."""
    model, params = sentences.upper.model(sentences.vocabulary.size), sentences.upper.params
    run = jax.jit(lambda inputs: greedy(model.apply(params, {}, inputs, jax.random.key(0), False)[0]))
    padded, count = int(round_up(corpus.length.max())), len(corpus)
    values, lengths = [], []
    for start in range(0, count, ROWS):
        labels = jax.device_get(run(gather(corpus, np.arange(start, start + ROWS) % count, padded)))
        values.append(labels.values)
        lengths.append(labels.lengths)
    widest = max(int(each.max()) for each in lengths)
    every: Any = np.concatenate(values)[:count, :widest], np.concatenate(lengths)[:count].astype(np.int32)
    return Ragged(*every)
