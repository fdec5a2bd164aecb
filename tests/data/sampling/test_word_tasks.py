"""Training words: how much each pool and each word counts."""

import numpy as np

from jaxmeta.data.sampling.word_tasks import WordBatches, most_ways, task_sampler
from tests.data.test_word_corpora import corpus


def test_word_batches_give_recorded_speech_half_and_every_word_of_a_pool_alike():
    pools = ["recorded"] * 4 + ["synthesised", "invented", "invented"]
    words = WordBatches(corpus(corpus=["c"] * 7, label=list("aaabxyz"), pool=pools), size=8, seed=0)
    np.testing.assert_allclose(words.probability, [1 / 12] * 3 + [1 / 4, 1 / 4, 1 / 8, 1 / 8])
    assert words.names.tolist() == ["c/a", "c/b", "c/x", "c/y", "c/z"]
    first, again = words(3), words(3)
    np.testing.assert_array_equal(first.query.targets, again.query.targets)


def test_tasks_take_the_sizes_in_turn_and_half_of_them_are_recorded():
    pools = np.repeat(["recorded", "invented", "synthesised"], 12)
    labels = np.tile(np.repeat(list("abc"), 4), 3)
    names = np.arange(36).astype(str)
    spoken = corpus(corpus=["c"] * 36, label=labels, pool=pools, file_name=names)
    spoken.frames[spoken.start] = np.repeat([[1.0], [2.0], [3.0]], 12, axis=0)
    assert most_ways(spoken) == 3
    tasks = task_sampler(spoken, 2, [(1, 2, 1), (2, 1, 1)], 0)
    assert [tasks(index).support.targets.shape for index in range(3)] == [(1, 2), (1, 4), (1, 2)]
    drawn = [tasks(2 * index).support.inputs.values[0, 0, 0, 0] for index in range(300)]
    assert abs(np.mean(np.array(drawn) == 1) - 0.5) < 0.09  # three standard errors
