"""The two stages of a comparison on embeddings: the search on validation words, and the test."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.data.sampling.word_tasks import most_ways, pool_sampler
from jaxmeta.data.word_corpora import Words, load_words
from jaxmeta.words.embedded.corpora import embed_corpus
from jaxmeta.words.embedded.embeddings import Embedding
from jaxmeta.words.embedded.programs import QUERIES, SHOTS, TEST_QUERIES, WAYS, Tasks
from jaxmeta.words.embedded.spaces import fit_space, joined, place, summary

DRAWN = 200
"""Batches of training tasks, after which the first one comes again."""
RECORDINGS = 200
"""Of an update, for every learner: four tasks of 5 words, or one of 20."""


class Episodes(NamedTuple):
    """Test or validation episodes of a corpus, as rows of vectors."""

    support: np.ndarray
    """[E, WAYS * shots], and [E, WAYS * SHOTS] filled up with recordings that do not count where shots are fewer."""
    query: np.ndarray
    """[E, WAYS * TEST_QUERIES]."""
    shots: int


class Stage(NamedTuple):
    """Vectors to train on and to be scored by."""

    vectors: np.ndarray
    """[R, D], of training recordings first."""
    words: np.ndarray
    """[R] int32, numbers of training words; 0 for the others."""
    tasks: dict[int, Tasks]
    """Classes of a task -> the batches."""
    episodes: dict[str, Episodes]
    """By "corpus, shots"."""


def load_embedded(embeddings: Sequence[Embedding], folders: Sequence[Path], invented: int | None, seed: int):
    """The words of each embedding, whose recordings are the same ones in the same order, see `load_words`."""
    return [
        load_words(folders, invented=invented, seed=seed, load=partial(embed_corpus, embedding=each))
        for each in embeddings
    ]


def stage_of_search(words: Sequence[Words], shots: Sequence[int], episodes: int, seed: int) -> Stage:
    """Training words without any that validation has, and episodes of validation words and speakers."""
    train = [without_validation_words(each) for each in words]
    return _stage(train, [each.val for each in words], shots, episodes, seed)


def without_validation_words(words: Words) -> Corpus:
    """The training recordings of words that validation does not have, for a search."""
    held_out = np.zeros(len(words.train), bool)
    for name, corpus in words.val.items():
        same = np.isin(words.train.columns["label"], np.unique(corpus.columns["label"]))
        held_out |= same & (words.train.columns["corpus"] == name)
    return words.train.select(~held_out)


def stage_of_test(words: Sequence[Words], shots: Sequence[int], episodes: int, seed: int) -> Stage:
    """All training words, and the episodes of the few-shot protocol."""
    return _stage([each.train for each in words], [each.test for each in words], shots, episodes, seed)


def whitened(words: Words) -> np.ndarray:
    """Vectors of one embedding for the training recordings and then for those of every test, [R, D]."""
    return _placed(words.train, _numbers(words.train), words.test)


def alike(first: Stage, second: Stage) -> tuple[Stage, Stage]:
    """Both with rows of zeros up to the longer one, so that programs for the one serve the other, too."""
    longest = max(len(first.vectors), len(second.vectors))

    def filled(stage: Stage) -> Stage:
        more = longest - len(stage.vectors)
        return stage._replace(vectors=np.pad(stage.vectors, ((0, more), (0, 0))), words=np.pad(stage.words, (0, more)))

    return filled(first), filled(second)


def _stage(
    train: Sequence[Corpus], tested: Sequence[Mapping[str, Corpus]], shots: Sequence[int], episodes: int, seed: int
) -> Stage:
    first = train[0]
    words = _numbers(first)
    vectors = joined([_placed(corpus, words, each) for corpus, each in zip(train, tested, strict=True)])
    rows, drawn = len(first), {}
    for name, corpus in tested[0].items():
        for each in shots:
            drawn[f"{name}, {each}-shot"] = _episodes(corpus, each, episodes, seed + 1, rows)
        rows += len(corpus)
    tasks = {ways: _tasks(first, ways, seed) for ways in {WAYS, min(20, most_ways(first))}}
    return Stage(vectors, np.pad(words, (0, len(vectors) - len(words))), tasks, drawn)


def _numbers(corpus: Corpus) -> np.ndarray:
    """Of the word of each recording, [R] int32."""
    names = np.char.add(np.char.add(corpus.columns["corpus"], "/"), corpus.columns["label"])
    return np.unique(names, return_inverse=True)[1].astype(np.int32)


def _placed(train: Corpus, words: np.ndarray, tested: Mapping[str, Corpus]) -> np.ndarray:
    """Vectors of one embedding for the training recordings and then for those of every test."""
    summaries = summary(train)
    space = fit_space(summaries, words)
    return np.concatenate(
        [place(space, each) for each in (summaries, *(summary(corpus) for corpus in tested.values()))]
    )


def _episodes(corpus: Corpus, shots: int, episodes: int, seed: int, first: int) -> Episodes:
    """The episodes that `evaluation.few_shot` draws with this seed."""
    sampler: Any = episode_sampler(
        corpus, ways=WAYS, shots=shots, queries=TEST_QUERIES, tasks=1, seed=seed, buckets=1
    )  # fmt: skip
    drawn = [sampler.rows(index) for index in range(episodes)]
    rows = np.concatenate([rows for rows, _ in drawn]).reshape(episodes, WAYS, shots)
    support = np.pad(rows, ((0, 0), (0, 0), (0, SHOTS - shots)), mode="edge").reshape(episodes, -1)
    return Episodes(first + support, first + np.concatenate([rows for _, rows in drawn]), shots)


def _tasks(corpus: Corpus, ways: int, seed: int) -> Tasks:
    count = RECORDINGS // (ways * (SHOTS + QUERIES))
    sampler = pool_sampler(corpus, ways, SHOTS, QUERIES, count, seed)
    drawn = [sampler.rows(index) for index in range(DRAWN)]
    sides: Any = [np.stack(rows).astype(np.int32) for rows in zip(*drawn, strict=True)]
    return Tasks(*sides)
