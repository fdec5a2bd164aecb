"""Vectors that learners see."""

import numpy as np
import pytest

from jaxmeta.words.embedded.spaces import LENGTH, SHRINKAGE, fit_space, frames_of, joined, place, summary
from jaxmeta.words.embedded.stages import DRAWN, stage_of_search, stage_of_test
from tests.words.embedded.conftest import cluster_corpus


@pytest.fixture(scope="module")
def stages(clusters):
    return stage_of_search([clusters], (1, 5), 20, 0), stage_of_test([clusters], (1, 5), 20, 0)


def test_a_summary_has_the_mean_the_deviation_and_the_thirds_of_each_recording():
    corpus = cluster_corpus(range(3), 1.0, frames=11, size=4)
    frames, summaries = frames_of(corpus), summary(corpus)
    assert summaries.shape == (72, 20)
    np.testing.assert_allclose(summaries[5, :4], corpus.frames[55:66].mean(0), rtol=1e-6)
    np.testing.assert_allclose(summaries[5, 4:8], corpus.frames[55:66].std(0), rtol=1e-5)
    np.testing.assert_allclose(summaries[5, 12:16], 0.5 * frames[5, 3:8].mean(0), rtol=1e-5)
    single = cluster_corpus(range(3), 1.0, frames=1, size=4)
    np.testing.assert_array_equal(summary(single), single.frames)


def test_recordings_of_a_word_differ_alike_in_all_directions():
    rng = np.random.default_rng(0)
    mixing = np.diag([10.0, 1.0, 0.1])
    words = np.repeat(np.arange(2000), 10)
    vectors = rng.normal(size=(2000, 3))[words] + rng.normal(size=(len(words), 3)) @ mixing
    space = fit_space(vectors, words, size=3)
    whitened = (vectors - space.mean) @ space.projection
    within = whitened - np.array([whitened[words == word].mean(0) for word in range(2000)])[words]
    values = np.array([100, 1, 0.01]) * 0.9  # Ten recordings have 0.9 of the variance around their own mean.
    expected = values / (values + SHRINKAGE * values.mean())
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(within.T)), np.sort(expected), rtol=0.05)


def test_vectors_have_one_length_and_those_side_by_side_the_mean_of_the_cosines():
    rng = np.random.default_rng(0)
    words = np.repeat(np.arange(20), 5)
    first, second = (place(fit_space(x, words, 4), x) for x in rng.normal(size=(2, 100, 6)))
    both = joined([first, second])
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), LENGTH, rtol=1e-5)
    np.testing.assert_allclose(both @ both.T, (first @ first.T + second @ second.T) / 2, rtol=1e-4, atol=1e-4)


def test_the_search_never_trains_on_a_word_that_validates(stages):
    search, test = stages
    assert search.words.max() + 1 == 30 and test.words.max() + 1 == 40
    trained = 30 * 24
    assert len(search.vectors) == trained + 10 * 24 and len(test.vectors) == 40 * 24 + 20 * 24
    assert all(side.max() < trained for tasks in search.tasks.values() for side in tasks)
    assert all(rows.min() >= trained for each in search.episodes.values() for rows in (each.support, each.query))


def test_an_update_has_200_recordings_whatever_the_classes(stages):
    for ways, tasks in stages[0].tasks.items():
        assert tasks.support.shape[0] == DRAWN and tasks.support[0].size + tasks.query[0].size == 200
        by_class = stages[0].words[tasks.support].reshape(-1, ways, 5)
        assert (by_class == by_class[:, :, :1]).all() and len(np.unique(by_class[0])) == ways


def test_one_shot_episodes_hold_one_recording_of_each_class(stages):
    one, five = (stages[1].episodes[f"clusters, {shots}-shot"] for shots in (1, 5))
    assert (np.ptp(one.support.reshape(20, 5, 5), axis=2) == 0).all()
    assert len(np.unique(five.support[0])) == 25 and one.query.shape == (20, 75)
