"""Detection errors, of speakers or keywords: false accepts against false rejects, and figures that sum them up.

A trial is accepted if its score is at least the threshold. All figures are functions of a `Curve`, so that an interval
is the same function of curves over resampled speakers.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxmeta.metrics.intervals import Interval, percentile_interval

_GRID = 250  # Thresholds of resampled curves: so many quantiles of either kind of trials.


class Trials(NamedTuple):
    """Scored claims of an identity."""

    scores: np.ndarray
    """[T], higher for a likelier match."""
    claimed: np.ndarray
    """[T], who was enrolled."""
    spoken: np.ndarray
    """[T], who speaks; a trial is a target where this is who was enrolled."""

    @property
    def targets(self) -> np.ndarray:
        """[T] bool."""
        return np.asarray(self.claimed) == np.asarray(self.spoken)


class Curve(NamedTuple):
    """What a detector may choose between: the points of a detection error trade-off, thresholds falling."""

    thresholds: np.ndarray
    """[D + 1]: infinity, then each distinct score."""
    false_accepts: np.ndarray
    """[D + 1], the share of non-targets accepted, rising from 0 to 1."""
    false_rejects: np.ndarray
    """[D + 1], the share of targets rejected, falling from 1 to 0."""


def detection_curve(scores: np.ndarray, targets: np.ndarray) -> Curve:
    """The trade-off of all distinct thresholds; equal scores are accepted or rejected together.

    Args:
      scores: [T], finite.
      targets: [T] bool.
    Raises:
      ValueError: shapes that differ, a score that is not finite, no targets or no non-targets.

    >>> curve = detection_curve(np.array([3.0, 2.0, 1.0]), np.array([True, False, True]))
    >>> curve.thresholds.tolist(), curve.false_rejects.tolist()
    ([inf, 3.0, 2.0, 1.0], [1.0, 0.5, 0.5, 0.0])
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    if scores.ndim != 1 or targets.shape != scores.shape or targets.dtype != bool:
        raise ValueError(f"scores [T] and bool targets [T] are needed, got {scores.shape}, {targets.dtype}.")
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(f"scores must be finite; that of trial {row} is {scores[row]}.")
    counts = int(targets.sum()), int((~targets).sum())
    if not all(counts):
        raise ValueError(
            f"{counts[0]} target and {counts[1]} non-target trials: errors of both kinds need one of each at least; "
            "enrol a speaker who is tested, and test one who was not enrolled."
        )
    order = np.argsort(scores)[::-1]
    scores, targets = scores[order], targets[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of each distinct score
    accepted = np.cumsum(targets)[last]
    return Curve(
        np.append(np.inf, scores[last]),
        np.append(0.0, (last + 1 - accepted) / counts[1]),
        np.append(1.0, 1 - accepted / counts[0]),
    )


def equal_error_rate(curve: Curve) -> float:
    """The share at which false accepts and false rejects are equal, between the two nearest points on a line.

    >>> equal_error_rate(detection_curve(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, False, True, False])))
    0.5
    """
    gap = curve.false_accepts - curve.false_rejects
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = gap[before] / (gap[before] - gap[after])
    return float(curve.false_accepts[before] + share * (curve.false_accepts[after] - curve.false_accepts[before]))


def minimum_cost(curve: Curve, prior: float = 0.01, miss: float = 1.0, false_accept: float = 1.0) -> float:
    """The least detection cost that any threshold gives, over that of accepting nobody or everybody.

    Args:
      curve: of a detector.
      prior: probability of a target, in (0, 1).
      miss, false_accept: costs of a target rejected and of another accepted, above 0.
    Raises:
      ValueError: an argument out of its range.
    Source: NIST 2016 Speaker Recognition Evaluation Plan, section 3.1, eq. 1 and 2.

    >>> curve = detection_curve(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, False, True, False]))
    >>> minimum_cost(curve, prior=0.5)
    0.5
    """
    if not (0 < prior < 1 and miss > 0 and false_accept > 0):
        raise ValueError(f"prior in (0, 1) and costs above 0 are needed, got {prior}, {miss} and {false_accept}.")
    rejecting, accepting = miss * prior, false_accept * (1 - prior)
    costs = rejecting * curve.false_rejects + accepting * curve.false_accepts
    return float(costs.min() / min(rejecting, accepting))


def rates_at(curve: Curve, threshold: float) -> tuple[float, float]:
    """The shares of non-targets accepted and of targets rejected at a threshold.

    >>> curve = detection_curve(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, False, True, False]))
    >>> rates_at(curve, 2.5)
    (0.0, 0.5)
    """
    point = int(np.searchsorted(-curve.thresholds, -threshold, side="right")) - 1
    return float(curve.false_accepts[max(point, 0)]), float(curve.false_rejects[max(point, 0)])


def bootstrap_speakers(
    trials: Trials,
    figure: Callable[[Curve], float] = equal_error_rate,
    *,
    resamples: int = 1_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """A figure of a detector, and its percentile interval over resamples of the speakers.

    Speakers are drawn, not trials: those of one voice go wrong together. A speaker drawn n times counts n times as a
    target; a pair drawn n and m times n * m times. Draws that leave no pair are left out, and resampled curves have
    500 thresholds.
    Args:
      trials: of two speakers or more, who are both enrolled and tested; others are drawn as well.
      figure: of a curve.
      resamples: how often to draw.
      seed: of the draws; the same seed draws the same speakers.
      confidence: coverage in (0, 1).
    Raises:
      ValueError: as `detection_curve`; one speaker only, or an argument out of its range.
    Source: Owen 2007, "The pigeonhole bootstrap" (arXiv 0712.1111), with enrolled and tested speakers drawn as one.
    """
    scores, targets = np.asarray(trials.scores), trials.targets
    value = figure(detection_curve(scores, targets))
    names, index = np.unique(np.concatenate([trials.claimed, trials.spoken]), return_inverse=True)
    if len(names) < 2 or resamples < 1:
        raise ValueError(f"{len(names)} speaker(s), resamples={resamples}: two speakers and one resample are needed.")
    pairs, of_pair = np.unique(index[: len(scores)] * len(names) + index[len(scores) :], return_inverse=True)
    claimed, spoken = np.divmod(pairs, len(names))
    grid = np.unique(np.concatenate([np.quantile(part, np.linspace(0, 1, _GRID)) for part in _parts(scores, targets)]))
    # Accepted trials of each pair at each threshold, thresholds falling; the last one accepts all.
    place = np.searchsorted(grid, scores, side="right") - 1
    counts = np.bincount(of_pair * len(grid) + place, minlength=len(pairs) * len(grid)).reshape(len(pairs), -1)
    accepted = counts[:, ::-1].cumsum(axis=1).astype(np.float32)  # exact up to 16 million trials of a pair
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    own = claimed == spoken
    passed = drawn[:, claimed[own]].astype(np.float32) @ accepted[own]
    entered = (drawn[:, claimed[~own]] * drawn[:, spoken[~own]]).astype(np.float32) @ accepted[~own]
    usable = (passed[:, -1] > 0) & (entered[:, -1] > 0)
    thresholds = np.append(np.inf, grid[::-1])
    resampled = [
        figure(Curve(thresholds, np.append(0.0, others / others[-1]), np.append(1.0, 1 - targets / targets[-1])))
        for others, targets in zip(entered[usable], passed[usable], strict=True)
    ]
    return percentile_interval(value, np.array(resampled), confidence)


def _parts(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return scores[targets], scores[~targets]
