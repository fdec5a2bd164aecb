"""Training speakers: batches for a classifier over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.types import Batch, Episode

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus


class SpeakerBatches:
    """Batches for a classifier over all training speakers: episodes of one task whose query is what matters.

    A pool, such as a corpus, counts as the root of its speakers, and each of its speakers alike.
    """

    def __init__(self, corpus: Corpus, size: int, seed: int):
        """Args:
        corpus: recordings, or stretches of them, with the columns `pool` and `speaker`.
        size: recordings of a batch.
        seed: of the draw.
        """
        self.corpus, self.size, self.seed = corpus, size, seed
        names = np.char.add(np.char.add(corpus.columns["pool"], "/"), corpus.columns["speaker"])
        self.names, first, self.classes = np.unique(names, return_index=True, return_inverse=True)
        _, of_pool, speakers = np.unique(corpus.columns["pool"][first], return_inverse=True, return_counts=True)
        share = 1 / np.sqrt(speakers[of_pool])
        weight = (share / np.bincount(self.classes))[self.classes]
        self.probability = weight / weight.sum()
        self.frames = int(round_up(corpus.length.max()))

    def __call__(self, index: int) -> Episode:
        """The batch `index` [1, size], as support and query alike."""
        rng = np.random.default_rng([self.seed, index])
        chosen = rng.choice(len(self.corpus), self.size, p=self.probability)
        targets: Any = self.classes[chosen].astype(np.int32)[None]
        inputs = gather(self.corpus, chosen[None], self.frames)
        batch = Batch(inputs, targets, np.ones((1, self.size), np.float32))  # type: ignore[arg-type]
        return Episode(batch, batch)
