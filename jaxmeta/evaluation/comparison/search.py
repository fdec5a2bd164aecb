"""Settings of learners, and successive halving that chooses them on validation data within a budget of updates."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Settings(NamedTuple):
    """What the search chooses. Learners without an inner loop ignore the first two."""

    inner_rate: float
    """Of the steps of adaptation."""
    steps: int
    """Of adaptation."""
    outer_rate: float
    """Peak learning rate of meta-training."""
    annealing: float
    """1: the outer rate falls along a cosine to 0; 0: it stays."""
    strength: float = 0.1
    """Of the pull to the initial weights, for iMAML alone."""


class Ranges(NamedTuple):
    """What settings are drawn from."""

    inner_rate: tuple[float, float] = (0.003, 3.0)
    """Least and most; uniform in the logarithm."""
    steps: tuple[int, ...] = (1, 2, 5)
    outer_rate: tuple[float, float] = (1e-4, 1e-2)
    """Least and most; uniform in the logarithm."""
    annealing: tuple[float, ...] = (0.0, 1.0)
    strength: tuple[float, float] = (0.01, 1.0)
    """Least and most; uniform in the logarithm."""


class Rung(NamedTuple):
    """A round of successive halving."""

    trials: int
    """The best of the round before, or all that are drawn in the first round."""
    updates: int
    """Of each trial, from its start."""


class Trial(NamedTuple):
    """Settings, and what they gave in the last round that they were in."""

    settings: Settings
    updates: int
    score: float
    """Mean over validation episodes, in hundredths: what differs by less is a tie. The more the better."""
    error: float
    """Standard error of the score."""


def draw(count: int, ranges: Ranges, seed: int) -> list[Settings]:
    """Settings that cover every range evenly: a Latin hypercube, the same for every learner.

    Args:
      count: how many, 1 or more.
      ranges: to draw from.
      seed: of the draw.
    Raises:
      ValueError: a count below 1.
    """
    if count < 1:
        raise ValueError(f"count={count} settings cannot be drawn; ask for 1 or more.")
    rng = np.random.default_rng(seed)

    def shares() -> np.ndarray:
        return (rng.permutation(count) + rng.uniform(size=count)) / count

    def logarithmic(bounds: tuple[float, float]) -> np.ndarray:
        return np.exp(np.log(bounds[0]) + shares() * np.log(bounds[1] / bounds[0]))

    def among(values: Sequence) -> list:
        return [values[int(share * len(values))] for share in shares()]

    columns = (logarithmic(ranges.inner_rate).tolist(), among(ranges.steps), logarithmic(ranges.outer_rate).tolist(),
               among(ranges.annealing), logarithmic(ranges.strength).tolist())  # fmt: skip
    return [Settings(*each) for each in zip(*columns, strict=True)]


def successive_halving(
    rungs: Sequence[Rung], ranges: Ranges, seed: int, score: Callable[[Settings, int], Sequence[float]],
    adapts: bool = True,
) -> list[Trial]:  # fmt: skip
    """Try settings for a few updates, the best of them for more, and so on; returns all trials, the chosen one last.

    In the last round, trials within a standard error of the best one count as equal to it, and the one that adapts
    least (by inner rate times steps) is chosen. A score that is not a number counts as the worst.
    Args:
      rungs: rounds, of falling numbers of trials.
      ranges: that the settings of the first round are drawn from.
      seed: of the draw.
      score: (settings, updates) -> score of each validation episode, the more the better.
      adapts: whether the learner takes steps; else the best of the last round is chosen.
    Raises:
      ValueError: no rounds, or more trials in a round than in the one before.
    Source: Jamieson and Talwalkar 2016 (arXiv 1502.07943), and the rule of one standard error of Breiman et al. 1984.
      Differs: every round begins anew, so that annealing ends with it.
    """
    counts = [rung.trials for rung in rungs]
    if not rungs or sorted(counts, reverse=True) != counts or counts[-1] < 1:
        raise ValueError(f"rungs need falling numbers of trials of 1 or more, got {list(rungs)}.")
    candidates, history = draw(counts[0], ranges, seed), []
    for rung in rungs:
        tried = [_trial(each, rung.updates, score(each, rung.updates)) for each in candidates[: rung.trials]]
        tried.sort(key=lambda trial: (-np.inf if np.isnan(trial.score) else trial.score, -_extent(trial)))
        history += tried
        candidates = [trial.settings for trial in reversed(tried)]
    if adapts:
        equal = [trial for trial in tried if trial.score >= tried[-1].score - tried[-1].error] or tried
        history.append(history.pop(history.index(min(equal, key=_extent))))
    return history


def _extent(trial: Trial) -> float:
    return trial.settings.inner_rate * trial.settings.steps


def _trial(settings: Settings, updates: int, scores: Sequence[float]) -> Trial:
    error = np.std(scores, ddof=1) / len(scores) ** 0.5 if len(scores) > 1 else 0.0
    return Trial(settings, updates, round(float(np.mean(scores)), 2), float(error))


def updates_of(rungs: Sequence[Rung]) -> int:
    """Updates of a whole search.

    >>> updates_of([Rung(8, 50), Rung(2, 200)])
    800
    """
    return sum(rung.trials * rung.updates for rung in rungs)
