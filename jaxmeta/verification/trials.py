"""Verification of speakers: enrolments, trials against them, and their errors."""

from typing import NamedTuple

import numpy as np

from jaxmeta.metrics import Interval, Trials, bootstrap_speakers, equal_error_rate, minimum_cost
from jaxmeta.verification.scoring import mean_direction
from jaxmeta.verification.voices import Voices

DRAWS = 10
"""Sets of enrolment clips of each speaker."""
PRIOR = 0.05
"""Of targets, in the minimum detection cost."""


class Enrolments(NamedTuple):
    """Which recordings enrol whom."""

    rows: np.ndarray
    """Of the corpus [E, K]."""
    speakers: np.ndarray
    """[E], names."""


def enrolments(speakers: np.ndarray, clips: int, seed: int, allowed: np.ndarray | None = None) -> Enrolments:
    """`DRAWS` sets of clips of each speaker.

    Args:
      speakers: of the recordings [R].
      clips: in a set; a speaker with too few to be enrolled and tested is left out.
      seed: of the draws.
      allowed: recordings that may be drawn [R] bool, such as those of one language; None: all.
    """
    rng, rows, names = np.random.default_rng(seed), [], []
    for name in np.unique(speakers):
        own = np.flatnonzero((speakers == name) & (True if allowed is None else allowed))
        if len(own) > clips:
            rows += [rng.choice(own, clips, replace=False) for _ in range(DRAWS)]
            names += [name] * DRAWS
    return Enrolments(np.array(rows), np.array(names))


def trials(
    voices: Voices,
    enrolled: Enrolments,
    enrolling: np.ndarray,
    testing: np.ndarray,
    speakers: np.ndarray,
    allowed: np.ndarray | None = None,
) -> Trials:
    """Every enrolment against every recording that it does not hold.

    Args:
      voices: scores them.
      enrolled: of E enrolments.
      enrolling, testing: unit vectors of the recordings [R, D], as they are enrolled and as they are tested (in noise).
      speakers: of the recordings [R].
      allowed: recordings that are tested [R] bool; None: all.
    """
    scores = voices.scores(_prototypes(enrolled, enrolling), testing)
    tested = np.ones(scores.shape, bool) if allowed is None else np.tile(allowed, (len(scores), 1))
    np.put_along_axis(tested, enrolled.rows, False, axis=1)
    which, recording = np.nonzero(tested)
    return Trials(scores[tested], enrolled.speakers[which], speakers[recording])


def trials_in_a_row(
    voices: Voices, enrolled: Enrolments, vectors: np.ndarray, speakers: np.ndarray, count: int, seed: int
) -> Trials:
    """Every enrolment against recordings that are verified together, by their mean direction.

    Args:
      voices: scores them.
      enrolled: of E enrolments.
      vectors: unit vectors of the recordings [R, D].
      speakers: of the recordings [R].
      count: recordings by one speaker in a row, drawn at random so that each recording is in one row at most.
      seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(speakers == name)) for name in np.unique(speakers)]
    members = np.concatenate([own[: len(own) // count * count].reshape(-1, count) for own in rows])
    groups = np.repeat(np.arange(len(members)), count)
    tested = mean_direction(vectors[members.ravel()], groups, len(members))
    prototypes = _prototypes(enrolled, vectors)
    scores = voices.scores(prototypes, tested)
    apart = np.array([~np.isin(members, own).any(axis=1) for own in enrolled.rows])
    which, row = np.nonzero(apart)
    return Trials(scores[apart], enrolled.speakers[which], speakers[members[row, 0]])


def _prototypes(enrolled: Enrolments, vectors: np.ndarray) -> np.ndarray:
    """The mean direction of the recordings of each enrolment [E, D]."""
    count, clips = enrolled.rows.shape
    return mean_direction(vectors[enrolled.rows.ravel()], np.repeat(np.arange(count), clips), count)


def summary(of_trials: Trials, seed: int) -> dict[str, Interval | int]:
    """Equal error rate in percent and the minimum detection cost, each with its interval over speakers."""

    def percent(curve):
        return 100 * equal_error_rate(curve)

    return {
        "EER %": bootstrap_speakers(of_trials, percent, seed=seed),
        "minDCF": bootstrap_speakers(of_trials, lambda curve: minimum_cost(curve, PRIOR), seed=seed),
        "trials": len(of_trials.scores),
        "speakers": len(np.unique(of_trials.spoken)),
    }
