"""All learners on the network itself: the same seconds of a processor for each, whatever an update costs it."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import jaxmeta
from jaxmeta.data.word_corpora import Words
from jaxmeta.evaluation.comparison.protocol import Budget, Contestant, Outcome, compare
from jaxmeta.evaluation.comparison.search import Ranges, Rung, Settings
from jaxmeta.evaluation.comparison.tables import Scores, accuracy_rows, budget_rows, difference_rows
from jaxmeta.evaluation.embeddings import accuracies, embed
from jaxmeta.evaluation.result_cache import ResultCache
from jaxmeta.models.heads import Network
from jaxmeta.training.fit import Augment
from jaxmeta.training.report import markdown_table, source_digest
from jaxmeta.words.network.programs import Programs, Stage, programs
from jaxmeta.words.network.recipes import BASELINE, STEPS, recipes, word_network
from jaxmeta.words.network.stages import stage_of_search, stage_of_test

START = "the start, class means"
RANGES = Ranges(inner_rate=(0.02, 1.0), steps=tuple(range(1, STEPS + 1)), outer_rate=(3e-5, 3e-3))

MIDDLE = Settings(0.1, STEPS, 3e-4, 1.0)
"""Of the ranges: with these settings updates are timed."""


class Seconds(NamedTuple):
    """Of one processor, without compilation and tests, for every learner alike; updates are as many as fit in."""

    rungs: tuple[tuple[int, float], ...] = ((6, 2.0), (2, 6.0))
    """(trials, seconds of each) of the search."""
    training: float = 20.0
    """Of each training that is tested."""
    seeds: int = 3
    starts: int = 500
    """Updates, not seconds, of the classifiers from which all learners start."""
    validation: int = 25
    """Episodes of each validation set."""

    def updates(self, pace: float) -> Budget:
        """The budget of a learner that makes so many updates in a second; two updates at least, one of each size."""

        def count(seconds: float) -> int:
            return max(2, round(pace * seconds))

        rungs = tuple(Rung(trials, count(seconds)) for trials, seconds in self.rungs)
        return Budget(rungs, count(self.training), self.seeds, RANGES)


def compare_networks(
    words: Words, augment: Augment, folder: Path, *, seconds: Seconds = Seconds(), shots: Sequence[int] = (1, 5),
    episodes: int = 600, seed: int = 0, learners: Sequence[str] = (), network: Network = word_network(),
) -> tuple[str, list[dict[str, Any]]]:  # fmt: skip
    """Compare learners that all go on from the same classifiers; returns tables as Markdown, and rows of accuracies.

    Args:
      words: as `load_words` gives them.
      augment: (key, episode) -> episode, of training recordings.
      folder: for classifiers and results, which are written as they come; a second run goes on where one stopped.
      seconds: of every learner.
      shots: recordings of a class to adapt to.
      episodes: of each test.
      seed: of everything random; trainings that are tested have it and the next ones.
      learners: names of some; none: all of them.
      network: (outputs or None) -> the model.
    """
    training: dict[str, Any] = {"updates": seconds.starts, "augment": augment, "data": words.fingerprints}
    search = stage_of_search(words, network, folder, seed=seed, **training)
    test = stage_of_test(words, network, folder, seeds=range(seed, seed + seconds.seeds), **training)
    identity = [words.fingerprints, seconds.starts, list(shots), episodes, seconds.validation, seed,
                source_digest(jaxmeta)]  # fmt: skip
    # A file of its own: `compare` writes that of the folder from what it read when it began.
    cache = ResultCache(folder / "beginnings")
    made = cache.get([START, *identity], lambda: starts_alone(test, network, shots, episodes, seed))
    alone = {START: {name: np.array(scores) for name, scores in made.items()}}
    outcomes: list[Outcome] = []
    for name in [BASELINE, *(name for name in learners or recipes() if name != BASELINE)]:
        compiled = programs(recipes()[name], network, augment)
        pace = cache.get([name, "pace", *identity], partial(compiled.pace, search, MIDDLE))
        each = contestant(name, compiled, search, test, shots, episodes, seconds.validation)
        outcomes += compare([each], seconds.updates(pace), folder, identity, seed)
        text = tables(outcomes, alone)
        (folder / "comparison.md").write_text(text, encoding="utf-8")
    return text, accuracy_rows(outcomes, alone)


def contestant(
    name: str, compiled: Programs, search: Stage, test: Stage, shots: Sequence[int], episodes: int, validation: int
) -> Contestant:
    """A learner that is validated on one stage and tested on the other, in the episodes of the few-shot protocol."""

    def scores(stage: Stage, settings: Settings, updates: int, seed: int, count: int) -> dict[str, np.ndarray]:
        state = compiled.train(stage, settings, updates, seed)
        first = min(stage.starts)
        return {
            f"{corpus}, {each}-shot": compiled.score(state, settings, recordings, each, count, first + 1)
            for corpus, recordings in stage.tested.items()
            for each in shots
        }

    def validate(settings: Settings, updates: int) -> np.ndarray:
        return np.concatenate(list(scores(search, settings, updates, min(search.starts), validation).values()))

    def tested(settings: Settings, updates: int, seed: int) -> dict[str, np.ndarray]:
        return scores(test, settings, updates, seed, episodes)

    return Contestant(name, validate, tested, not recipes()[name].closed_form)


def starts_alone(stage: Stage, network: Network, shots: Sequence[int], episodes: int, seed: int) -> dict[str, list]:
    """Accuracies [seeds, episodes] of class means of the classifiers' embeddings, without any further training."""
    result: dict[str, list] = {}
    for start in stage.starts.values():
        body = {name: leaf for name, leaf in start.items() if name != "head"}
        for name, corpus in stage.tested.items():
            vectors = embed(network(), body, corpus)
            for each in shots:
                scores = 100 * accuracies(corpus, vectors, vectors, seed + 1, episodes, each)
                result.setdefault(f"{name}, {each}-shot", []).append([round(float(score), 3) for score in scores])
    return result


def tables(outcomes: Sequence[Outcome], alone: Mapping[str, Scores]) -> str:
    """Accuracies, differences to the fine-tuned classifier and to the start alone, and what each learner was given."""
    references = {BASELINE: outcomes[0].scores, **alone}
    parts = [accuracy_rows(outcomes, alone), difference_rows(outcomes, references), budget_rows(outcomes)]
    return "\n".join(markdown_table(rows, list(rows[-1])) for rows in parts)
