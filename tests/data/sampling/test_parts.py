"""Parts of a batch, for processes that share it."""

import jax
import numpy as np
import pytest

from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.data.sampling.word_tasks import task_sampler
from jaxmeta.training.sharing import DrawsParts
from tests.data.sampling.test_episodes import grid, make_corpus
from tests.data.sampling.test_utterances import make_corpus as utterances
from tests.data.sampling.test_utterances import tasks_of


def words():
    corpus = make_corpus(grid(), frame_counts=range(8, 80))
    return corpus.with_column("pool", "recorded").with_column("corpus", "grid")


SAMPLERS = {
    "episodes": lambda: episode_sampler(words(), ways=3, shots=1, queries=2, tasks=4, seed=3),
    "utterances": lambda: tasks_of(utterances(["ann", "bob"] * 12, frame_counts=range(8, 32))),
    "batches in turn": lambda: task_sampler(words(), 3, [(1, 2, 4), (2, 1, 3)], 0),
}


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_part_is_what_the_whole_batch_has_there(kind):
    sampler = SAMPLERS[kind]()
    assert isinstance(sampler, DrawsParts)
    for index in range(5):
        whole, part = sampler(index), sampler.part(index, 1, 3)
        for expected, got in zip(jax.tree.leaves(whole), jax.tree.leaves(part), strict=True):
            assert len(expected) == sampler.size(index) and np.array_equal(got, expected[1:3])
