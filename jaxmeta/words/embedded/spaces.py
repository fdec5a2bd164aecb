"""Vectors that learners see: summaries of embedded recordings, whitened by what varies within training words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy

from jaxmeta.data.corpus import Corpus

SIZE = 128
"""Numbers of an embedding's vector, which is the input of a learner, or a part of it."""
SHRINKAGE = 10.0
"""Of the covariance within words, towards a multiple of the identity, in units of its mean variance."""
LENGTH = 20**0.5
"""Of every vector: a softmax of squared distances between them neither saturates nor is flat."""


class Space(NamedTuple):
    """A map of summaries, fitted on training words alone."""

    mean: np.ndarray
    """[F]."""
    projection: np.ndarray
    """[F, size]."""


def summary(corpus: Corpus) -> np.ndarray:
    """Of each embedded recording: mean and deviation over its S frames, and means of its thirds, [R, 5 * D].

    A recording with one frame is that frame, [R, D].
    """
    frames = frames_of(corpus)
    count = frames.shape[1]
    if count == 1:
        return frames[:, 0]
    width = -(-9 * count // 20)  # They overlap, as the windows that frames see do.
    thirds = [frames[:, start : start + width].mean(1) for start in (0, (count - width) // 2, count - width)]
    return np.concatenate([frames.mean(1), frames.std(1), *(0.5 * third for third in thirds)], axis=1)


def frames_of(corpus: Corpus) -> np.ndarray:
    """The frames of an embedded corpus, as many for each recording, [R, S, D]."""
    return corpus.frames[corpus.start[:, None] + np.arange(corpus.length[0])]


def fit_space(summaries: np.ndarray, words: np.ndarray, size: int = SIZE, shrinkage: float = SHRINKAGE) -> Space:
    """The space in which recordings of a word differ alike in all directions, cut to where words differ most.

    Args:
      summaries: of training recordings, [R, F].
      words: of each, [R] integers or strings; a word with one recording counts for its mean alone.
      size: of the result, at most F.
      shrinkage: of the covariance within words, see `SHRINKAGE`.
    Source: within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006), then principal components.
    """
    mean = summaries.mean(0)
    _, inverse, counts = np.unique(words, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), summaries.shape[1]))
    np.add.at(means, inverse, summaries)
    means /= counts[:, None]
    within = summaries - means[inverse]
    covariance = (within.T @ within / len(within)).astype(np.float64)
    covariance += shrinkage * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    centred = summaries - mean
    # Principal components of whitened vectors, in one decomposition of which the last directions alone are computed.
    last = [max(0, len(covariance) - size), len(covariance) - 1]
    _, directions = scipy.linalg.eigh(centred.T @ centred, covariance, subset_by_index=last)
    return Space(mean, directions[:, ::-1].astype(np.float32))


def place(space: Space, summaries: np.ndarray) -> np.ndarray:
    """Summaries [R, F] as vectors of one length in the space, [R, size] float32."""
    vectors = (summaries - space.mean) @ space.projection
    return (LENGTH * unit(vectors)).astype(np.float32)


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Vectors of several embeddings side by side, of the length of one; cosines are the mean of theirs."""
    return np.concatenate(parts, axis=1) / len(parts) ** 0.5


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., D] over their length; zeros stay."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
