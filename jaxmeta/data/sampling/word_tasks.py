"""Training words: tasks from several pools of speech, and batches for a classifier over all of them.

A pool is a kind of speech, the column `pool`: "recorded", and kinds of synthesised speech. Where there are several,
recorded speech counts as much as all others together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmeta.data.sampling.episodes import EpisodeSampler, episode_sampler
from jaxmeta.data.sampling.padding import gather, places
from jaxmeta.types import Batch, Episode

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus


def most_ways(corpus: Corpus) -> int:
    """Words in the smallest pool: the most classes that a training episode can have."""
    pools = corpus.columns["pool"]
    return min(len(np.unique(corpus.columns["label"][pools == pool])) for pool in np.unique(pools))


@dataclass(frozen=True)
class TaskSampler:
    """`sampler(index) -> Episode`, batches of several samplers in turn; made by `task_sampler`."""

    samplers: tuple[EpisodeSampler, ...]

    def __call__(self, index: int) -> Episode:
        """Batch `index`, as `EpisodeSampler` gives it."""
        return self.part(index, 0, self.size(index))

    @property
    def corpus(self) -> Corpus:
        """That tasks are drawn from."""
        return self.samplers[0].corpus

    def clips(self, index: int) -> Episode:
        """Batch `index` with `Clips` of the frames of the corpus in the place of its inputs."""
        turn, which = divmod(index, len(self.samplers))
        return self.samplers[which].clips(turn)

    def size(self, index: int) -> int:
        """Tasks in batch `index`."""
        return self.samplers[index % len(self.samplers)].tasks

    def part(self, index: int, first: int, last: int) -> Episode:
        """Tasks first to last - 1 of batch `index`, padded as the whole of it is."""
        turn, which = divmod(index, len(self.samplers))
        return self.samplers[which].part(turn, first, last)


def task_sampler(corpus: Corpus, ways: int, batches: Sequence[tuple[int, int, int]], seed: int) -> TaskSampler:
    """Training tasks, a half of them from recorded speech where there is some.

    Args:
      corpus: with the columns `pool`, `corpus` and `label`.
      ways: classes of an episode.
      batches: (shots, queries, tasks) of the batches, taken in turn.
      seed: of the draw.
    Raises:
      ValueError: no pool has the words and recordings; the largest feasible episode is named.
    """
    return TaskSampler(tuple(pool_sampler(corpus, ways, *batch, seed) for batch in batches))


def pool_sampler(corpus: Corpus, ways: int, shots: int, queries: int, tasks: int, seed: int) -> EpisodeSampler:
    """The sampler of one of the batches of `task_sampler`, with its arguments and errors."""
    pools = np.unique(corpus.columns["pool"]).tolist()
    weights = {pool: len(pools) - 1.0 if pool == "recorded" else 1.0 for pool in pools} if len(pools) > 1 else None
    return episode_sampler(
        corpus, ways=ways, shots=shots, queries=queries, tasks=tasks, seed=seed,
        label=("corpus", "label"), within="pool", weights=weights, buckets=1,
    )  # fmt: skip


class WordBatches:
    """Batches for a classifier over all training words: episodes of one task whose query is what matters."""

    def __init__(self, corpus: Corpus, size: int, seed: int):
        """Args:
        corpus: with the columns `pool`, `corpus` and `label`.
        size: recordings of a batch.
        seed: of the draw.
        """
        self.corpus, self.size, self.seed = corpus, size, seed
        names = np.char.add(np.char.add(corpus.columns["corpus"], "/"), corpus.columns["label"])
        self.names, self.classes = np.unique(names, return_inverse=True)
        pool, of_pool = np.unique(corpus.columns["pool"], return_inverse=True)
        share = np.where(pool == "recorded", max(len(pool) - 1, 1), 1.0)
        # Every pool counts as it does in `task_sampler`, and every word of a pool alike.
        pairs = of_pool * len(self.names) + self.classes
        _, inverse, counts = np.unique(pairs, return_inverse=True, return_counts=True)
        words = np.bincount(of_pool[np.unique(pairs, return_index=True)[1]])
        weight = share[of_pool] / words[of_pool] / counts[inverse]
        self.probability = weight / weight.sum()
        self.frames = 8 * -(-int(corpus.length.max()) // 8)

    def __call__(self, index: int) -> Episode:
        """The batch `index` [1, size], as support and query alike."""
        return self._batch(index, gather)

    def clips(self, index: int) -> Episode:
        """Batch `index` with `Clips` of the frames of the corpus in the place of its inputs."""
        return self._batch(index, places)

    def _batch(self, index: int, inputs: Callable[..., Any]) -> Episode:
        rng = np.random.default_rng([self.seed, index])
        chosen = rng.choice(len(self.corpus), self.size, p=self.probability)[None]
        targets: Any = self.classes[chosen].astype(np.int32)
        weight: Any = np.ones((1, self.size), np.float32)
        batch = Batch(inputs(self.corpus, chosen, self.frames), targets, weight)
        return Episode(batch, batch)
