"""Languages learnt one after another: fine-tuning, fine-tuning with replay, and progressive columns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.languages.columns import column_layers, column_recogniser, freeze, newest_column, next_column, thaw
from experiments.languages.data import Languages, rows_of
from experiments.languages.training import hear, plain_batches, with_replay
from experiments.languages.transfer import matrix_rows, transfer_rows
from jaxmeta import Model
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.models.acoustic import Size
from jaxmeta.training.fit import Augment, fit
from jaxmeta.types import Episode, PyTree, Ragged

SCRATCH, FINE_TUNING, REPLAY, PROGRESSIVE = "scratch", "fine-tuning", "replay", "progressive"


class Budget(NamedTuple):
    """Of one language, the same for every method."""

    updates: int
    rate: float
    size: int
    """Utterances of a batch."""
    longest: int
    """Frames of an utterance."""
    stored: int
    """Utterances that replay keeps of each language."""
    replayed: int
    """Of them, in a batch."""
    width: int
    depth: int


class Course(NamedTuple):
    """What every step of a sequence of languages is given."""

    languages: Languages
    budget: Budget
    augment: Augment
    edits: Callable[[list[str], list[str]], Edits]
    """(said, heard) -> what the error rates are of."""
    workdir: Path
    seed: int
    config: Mapping[str, Any]


def run_sequence(course: Course) -> tuple[list[dict], list[dict]]:
    """Learn the languages by every method; returns the rows of the matrices and of the transfer table."""
    names, scorer = course.languages.sequence, _Scorer(course)
    random = _random_column(course, [])
    alone = [_learn(course, SCRATCH, index, [], *random) for index in range(len(names))]
    scratch = [scorer.edits([column], index) for index, column in enumerate(alone)]
    print(f"from scratch: {[round(error_rate(edits), 1) for edits in scratch]} % errors", file=sys.stderr)
    matrices, transfers = [], []
    for method in (FINE_TUNING, REPLAY, PROGRESSIVE):
        errors = _in_turn(course, method, alone[0], scorer)
        matrices += matrix_rows(method, names, errors)
        transfers += transfer_rows(method, names, errors, scratch, [scorer.voices(j) for j in range(len(names))])
    return matrices, transfers


def _in_turn(course: Course, method: str, first: PyTree, scorer: _Scorer) -> dict[tuple[int, int], Edits]:
    """The edits of every language after each step; of progressive columns, those of the languages that have one."""
    count, errors, columns = len(course.languages.sequence), {}, [first]
    for i in range(count):
        if i and method == PROGRESSIVE:
            columns = [*columns, _learn(course, method, i, columns, *_random_column(course, columns))]
        elif i:
            columns = [_learn(course, method, i, [], *thaw(columns[0]))]
        for j in range(i + 1 if method == PROGRESSIVE else count):
            # A column recognises its own language, so it is told which one it hears.
            errors[i, j] = scorer.edits(columns[: j + 1] if method == PROGRESSIVE else columns, j)
    return errors


def _learn(course: Course, method: str, index: int, columns: list[PyTree], start: PyTree, state: PyTree) -> PyTree:
    """Train a column on language `index` from these weights, beside frozen ones or alone."""
    languages, budget, name = course.languages, course.budget, course.languages.sequence[index]
    trained = fit(
        newest_column(_layers(course), columns, start, state), _batches(course, method, index), budget.updates,
        budget.rate, course.workdir / "sequence" / method / f"{index}_{name}",
        augment=course.augment, features=languages.corpus.frames.shape[1], seed=course.seed,
        config=dict(course.config) | budget._asdict() | {"method": method, "language": name},
    )  # fmt: skip
    return freeze(trained.params, trained.state["new"])


def _random_column(course: Course, columns: list[PyTree]) -> tuple[PyTree, PyTree]:
    return next_column(_layers(course), columns, course.languages.corpus.frames.shape[1], jax.random.key(course.seed))


def _layers(course: Course) -> list[Model]:
    return column_layers(course.languages.vocabulary.size, Size(course.budget.width, course.budget.depth))


def _batches(course: Course, method: str, index: int) -> Callable[[int], Episode]:
    languages, budget, names = course.languages, course.budget, course.languages.sequence
    rows = rows_of(languages, "train", names[index], budget.longest)
    if method != REPLAY or not index:
        return plain_batches(languages, rows, budget.size, budget.longest, course.seed)
    stored = np.concatenate([store(course, earlier) for earlier in names[:index]])
    fresh = plain_batches(languages, rows, budget.size - budget.replayed, budget.longest, course.seed)
    return with_replay(fresh, stored, budget.replayed)


def store(course: Course, language: str) -> np.ndarray:
    """The utterances of a language that replay keeps, as rows of the corpus."""
    rows = rows_of(course.languages, "train", language, course.budget.longest)
    return np.random.default_rng(course.seed).permutation(rows)[: course.budget.stored]


class _Scorer:
    """Recognition of each language's test utterances."""

    def __init__(self, course: Course):
        self.course = course
        self.recognise = column_recogniser(_layers(course))

    def edits(self, columns: list[PyTree], index: int) -> Edits:
        rows, languages = self._rows(index), self.course.languages

        def labels(speech: Ragged) -> Ragged:
            return self.recognise(columns, speech)

        said = languages.corpus.columns["transcription"][rows].tolist()
        return self.course.edits(said, hear(languages, rows, self.course.budget.longest, labels))

    def voices(self, index: int) -> list[str]:
        return self.course.languages.corpus.columns["speaker"][self._rows(index)].tolist()

    def _rows(self, index: int) -> np.ndarray:
        return rows_of(self.course.languages, "test", self.course.languages.sequence[index], self.course.budget.longest)
