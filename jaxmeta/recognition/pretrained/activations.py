"""What a frozen part of a network gives for each recording, computed once and kept in the place of its features."""

from dataclasses import replace

import jax
import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.padding import pad_rows
from jaxmeta.types import Model, PyTree

_STEP = 200
"""Frames that batches are padded to a multiple of, so that few programs are compiled; padding is inert."""


def with_activations(
    corpus: Corpus, lower: Model, params: PyTree, *, batch: int = 8, dtype: type = np.float16
) -> Corpus:
    """The corpus with activations of a frozen part, such as `whisper_encoder(config, last=2)`, as its features.

    Samplers, losses and learners take it as any other; the part above, `whisper_encoder(config, first=2)`, learns.
    Args:
      corpus: with the features that `lower` takes, such as those of `whisper_features()`.
      lower: of Ragged features [N, T, F] to Ragged activations [N, T', D], without random layers.
      params: of `lower`; others beside them are not looked at.
      batch: recordings at once, 1 or more; those of similar length share a batch.
      dtype: of the activations, which stay in memory.
    Raises:
      ValueError: batch below 1; a recording too short for an activation.
    """
    if batch < 1:
        raise ValueError(f"batch must be 1 or more, got {batch}.")
    apply = jax.jit(lambda params, speech: lower.apply(params, {}, speech, jax.random.key(0), False)[0])
    rows: list[np.ndarray] = [np.zeros(0)] * len(corpus)
    order = np.argsort(corpus.length, kind="stable")
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        # The last batch is filled up with recordings that it has already.
        given = [_frames(corpus, row) for row in np.resize(chosen, batch).tolist()]
        speech = pad_rows(given, -(-max(map(len, given)) // _STEP) * _STEP)
        values, lengths = jax.device_get(apply(params, speech))
        for row, value, length in zip(chosen, values, lengths, strict=False):
            rows[row] = value[:length].astype(dtype)
    length = np.array([len(row) for row in rows], np.int32)
    if not length.all():
        raise ValueError(
            f"recording {int(np.argmin(length))} of the corpus is too short for an activation; leave it out."
        )
    start = np.cumsum(length, dtype=np.int64) - length
    return replace(corpus, frames=np.concatenate(rows), start=start, length=length, config=None)


def _frames(corpus: Corpus, row: int) -> np.ndarray:
    return np.asarray(corpus.frames[corpus.start[row] : corpus.start[row] + corpus.length[row]])
