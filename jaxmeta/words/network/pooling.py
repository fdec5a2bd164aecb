"""Recordings as a few frames of their own duration: what a word network sees of them, computed once."""

import jax
import numpy as np
from jax import numpy as jnp

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.models.layers import segment_pool
from jaxmeta.types import Ragged

FRAMES = 32
"""Of a pooled recording, and of the images that the network makes of it."""
_BATCH = 256


def pooled(corpus: Corpus, frames: int = FRAMES) -> Corpus:
    """The corpus with each recording averaged over equal segments of its own duration.

    A network of as many frames pools its input in the same way, so it sees what it would see of the whole recording.
    Args:
      corpus: of recordings of any duration.
      frames: of each recording in the result.
    """
    longest = int(round_up(corpus.length.max()))

    @jax.jit
    def pool(clips: Ragged) -> jax.Array:
        return segment_pool(clips.values, clips.lengths, frames)

    parts = []
    for start in range(0, len(corpus), _BATCH):
        rows = np.minimum(np.arange(start, start + _BATCH), len(corpus) - 1)
        clips = jax.tree.map(jnp.asarray, gather(corpus, rows, longest))
        parts.append(np.asarray(pool(clips))[: len(corpus) - start])
    values = np.concatenate(parts).reshape(-1, corpus.frames.shape[1])
    length = np.full(len(corpus), frames, np.int32)
    return Corpus(values, np.arange(len(corpus)) * frames, length, corpus.columns, f"{corpus.fingerprint} {frames}")
