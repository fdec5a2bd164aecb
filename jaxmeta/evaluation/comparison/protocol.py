"""The comparison of learners: a search on validation data, several seeds, and the test once; it can be resumed."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmeta.evaluation.comparison.search import Ranges, Rung, Settings, Trial, successive_halving, updates_of
from jaxmeta.evaluation.result_cache import ResultCache
from jaxmeta.progress import progress_bar


class Contestant(NamedTuple):
    """A learner in the comparison."""

    name: str
    validate: Callable[[Settings, int], np.ndarray]
    """(settings, updates) -> accuracy in percent of each episode of validation words and speakers."""
    test: Callable[[Settings, int, int], Mapping[str, Any]]
    """(settings, updates, seed) -> name of a test -> accuracy in percent of each episode."""
    adapts: bool = True
    """Whether it takes steps, so that inner rate and steps concern it."""


class Budget(NamedTuple):
    """What every learner is given."""

    rungs: tuple[Rung, ...] = (Rung(6, 30), Rung(2, 100))
    updates: int = 200
    """Of each training that is tested."""
    seeds: int = 3
    """Trainings that are tested."""
    ranges: Ranges = Ranges()


class Outcome(NamedTuple):
    """A learner's results, and what it was given."""

    name: str
    chosen: Trial
    trials: int
    updates: int
    """Of all trials and trainings together."""
    seconds: float
    """Of processors, for all trials and trainings together, compilation and tests included."""
    scores: dict[str, np.ndarray]
    """Name of a test -> accuracy in percent, [seeds, episodes]."""


def compare(
    contestants: Sequence[Contestant], budget: Budget, folder: Path, identity: Sequence[Any], seed: int = 0,
    done: Callable[[list[Outcome]], None] = lambda outcomes: None,
) -> list[Outcome]:  # fmt: skip
    """Search, train and test every learner; what the folder holds already is not computed again.

    The test split is touched once for each seed, with settings that were chosen before.
    Args:
      contestants: learners, in the order in which they run.
      budget: the same for all of them.
      folder: for the results of every trial and test, which are written as they come.
      identity: what all results depend on besides settings and updates: data, weights, source code.
      seed: of the draw of settings, and the first one of the trainings.
      done: called with the outcomes so far after each learner.
    """
    cache, outcomes = ResultCache(folder), []
    total = len(contestants) * (updates_of(budget.rungs) + budget.seeds * budget.updates)
    with progress_bar("comparing learners", total, unit="updates", compiles=True) as advance:
        for contestant in contestants:
            outcomes.append(_outcome(contestant, budget, cache, list(identity), seed, advance))
            done(outcomes)
    return outcomes


def _outcome(
    contestant: Contestant, budget: Budget, cache: ResultCache, identity: list[Any], seed: int,
    advance: Callable[[int], None],
) -> Outcome:  # fmt: skip
    seconds = 0.0

    def cached(key: list[Any], make: Callable[[], Any], updates: int) -> Any:
        nonlocal seconds

        def timed() -> dict[str, Any]:
            start = time.process_time()
            return {"value": make(), "seconds": time.process_time() - start}

        result = cache.get([contestant.name, *key, *identity], timed)
        seconds += result["seconds"]
        advance(updates)
        return result["value"]

    def score(settings: Settings, updates: int) -> list[float]:
        key = ["validate", *settings, updates]
        return cached(key, lambda: _rounded(contestant.validate(settings, updates)), updates)

    history = successive_halving(budget.rungs, budget.ranges, seed, score, contestant.adapts)
    settings, scores = history[-1].settings, []
    for number in range(seed, seed + budget.seeds):
        key = ["test", *settings, budget.updates, number]
        scores.append(cached(key, partial(_tested, contestant, settings, budget, number), budget.updates))
    together = {name: np.array([each[name] for each in scores]) for name in scores[0]}
    spent = updates_of(budget.rungs) + budget.seeds * budget.updates
    return Outcome(contestant.name, history[-1], budget.rungs[0].trials, spent, seconds, together)


def _tested(contestant: Contestant, settings: Settings, budget: Budget, seed: int) -> dict[str, list[float]]:
    tested = contestant.test(settings, budget.updates, seed)
    return {name: _rounded(values) for name, values in tested.items()}


def _rounded(values: Sequence[float] | np.ndarray) -> list[float]:
    return [round(float(each), 3) for each in values]
