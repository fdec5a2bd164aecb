"""Tasks that are languages, and episodes whose queries are by other speakers."""

import numpy as np
import pytest

from jaxmeta.data.sampling.by_language import language_episodes, language_tasks, rows_of_language
from jaxmeta.data.vocabulary import build_vocabulary
from tests.languages import LONGEST, NAMES, corpus_of_languages, rows_in

CORPUS = corpus_of_languages()
VOCABULARY = build_vocabulary(CORPUS.columns["transcription"])


def test_tasks_are_languages_that_differ_within_a_batch():
    sampler = language_tasks(
        CORPUS, VOCABULARY, NAMES[:2], tasks=2, support=3, query=4, max_frames=LONGEST, seed=0
    )  # fmt: skip
    column = CORPUS.columns["language"]
    for index in range(5):
        episode = sampler(index)
        both = np.concatenate([rows_in(episode.support), rows_in(episode.query)], axis=1)
        assert sorted({*column[both[0]]} | {*column[both[1]]}) == ["aa", "bb"]
        assert all(len(set(task)) == 7 and len(set(column[task])) == 1 for task in both.tolist())
        assert episode.support.inputs.values.shape == (2, 3, LONGEST, 2)


def test_shuffled_units_have_one_new_place_each_in_a_task():
    options = {"tasks": 2, "support": 3, "query": 4, "max_frames": LONGEST, "seed": 0}
    usual, shuffled = (
        language_tasks(CORPUS, VOCABULARY, NAMES[:2], **options, shuffled=each)(0) for each in (False, True)
    )
    maps = []
    for task in range(2):
        before, after = (
            np.concatenate([part.targets.values[task].ravel() for part in episode]) for episode in (usual, shuffled)
        )
        places = set(zip(before.tolist(), after.tolist(), strict=True))
        assert len({old for old, _ in places}) == len({new for _, new in places}) == len(places) and (0, 0) in places
        maps.append(places)
    assert maps[0] != maps[1]


def test_queries_are_by_other_speakers_and_the_same_for_every_draw_and_size():
    episodes = language_episodes(
        CORPUS, VOCABULARY, ("cc", "aa"), "test", supports=(2, 4), draws=2, query=5, max_frames=LONGEST, seed=0
    )
    assert [group.name for group in episodes.groups] == ["cc/0", "cc/1", "aa/0", "aa/1"]
    split, language = CORPUS.columns["split"], CORPUS.columns["language"]
    first, second = episodes.groups[:2]
    assert first.query.tolist() == second.query.tolist() and first.support.tolist() != second.support.tolist()
    for group in episodes.groups:
        assert set(split[group.support]) == {"train"} and set(split[group.query]) == {"test"}
        assert {*language[group.support], *language[group.query]} == {group.name[:2]}
    two, four = (rows_in(episodes(shots, [0]).support)[0] for shots in (2, 4))
    assert two[:2].tolist() == four[:2].tolist() == first.support[:2].tolist()


def test_a_language_without_utterances_is_named():
    with pytest.raises(ValueError, match="language='dd' has no utterance of split 'train'"):
        rows_of_language(CORPUS, "dd", "train", LONGEST)
