"""Who speaks: enrolments of test speakers, trials against them, and what they cost."""

from typing import NamedTuple

import numpy as np

from experiments.verify_and_recognise.recipes import SECOND
from jaxmeta import Model
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.windows import windows
from jaxmeta.evaluation.embeddings import embed
from jaxmeta.metrics import Interval, Trials, bootstrap_speakers, equal_error_rate, minimum_cost
from jaxmeta.models.layers import segment_pool
from jaxmeta.models.speaker import unit
from jaxmeta.types import PyTree
from jaxmeta.verification.scoring import adaptive_s_norm, mean_direction

DRAWS = 10
"""Sets of enrolment clips of each speaker."""
PRIOR = 0.05
"""Of targets, in the minimum detection cost."""
TOP = 50
"""Members of the cohort that are most alike, in score normalisation."""
_COHORT_CLIPS = 40  # Of each training speaker.


class Voices(NamedTuple):
    """A network that tells speakers apart, and training speakers to compare with."""

    name: str
    model: Model
    params: PyTree
    cohort: np.ndarray | None
    """Unit vectors of training speakers [M, E]; None: scores are plain cosines."""
    stretch: int = SECOND
    """Frames that recordings are cut into, every half of one."""

    def embed(self, corpus: Corpus) -> np.ndarray:
        """A unit vector for each recording [R, E], the mean direction of its stretches."""
        parts = windows(corpus, self.stretch, self.stretch // 2)
        recording = np.cumsum(parts.columns["window"] == "0") - 1
        return mean_direction(embed(self.model, self.params, parts), recording, len(corpus))

    def scores(self, enrolled: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """Scores [E, T] of prototypes and recordings, all of them unit vectors."""
        if self.cohort is None:
            return enrolled @ tested.T
        return adaptive_s_norm(enrolled @ tested.T, enrolled @ self.cohort.T, tested @ self.cohort.T, self.top)

    @property
    def top(self) -> int:
        return min(TOP, len(self.cohort) if self.cohort is not None else 0)


def with_cohort(name: str, model: Model, params: PyTree, speakers: Corpus, seed: int, stretch: int = SECOND) -> Voices:
    """A network with some stretches of each training speaker as its cohort."""
    rng = np.random.default_rng(seed)
    names = np.char.add(speakers.columns["pool"], speakers.columns["speaker"])
    order = rng.permutation(len(speakers))
    order = order[np.argsort(names[order], kind="stable")]
    _, first, groups = np.unique(names[order], return_index=True, return_inverse=True)
    keep = np.zeros(len(speakers), bool)
    keep[order[np.arange(len(order)) - first[groups] < _COHORT_CLIPS]] = True
    some = speakers.select(keep)
    _, groups = np.unique(names[keep], return_inverse=True)
    cohort = mean_direction(embed(model, params, some), groups, int(groups.max()) + 1)
    return Voices(name, model, params, cohort, stretch)


def floor() -> Voices:
    """No training: the direction of the mean log-mel spectrum of a recording."""

    def apply(params, state, inputs, key, train):
        return unit(segment_pool(inputs.values, inputs.lengths, 1)[:, 0]), state

    return Voices("mean spectrum, no training", Model(lambda key, inputs: ({}, {}), apply), {}, None)


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
    count, clips = enrolled.rows.shape
    groups = np.repeat(np.arange(count), clips)
    prototypes = mean_direction(enrolling[enrolled.rows.ravel()], groups, count)
    scores = voices.scores(prototypes, testing)
    tested = np.ones(scores.shape, bool) if allowed is None else np.tile(allowed, (count, 1))
    np.put_along_axis(tested, enrolled.rows, False, axis=1)
    which, recording = np.nonzero(tested)
    return Trials(scores[tested], enrolled.speakers[which], speakers[recording])


def summary(found: Trials, seed: int) -> dict[str, Interval | int]:
    """Equal error rate in percent and the minimum detection cost, each with its interval over speakers."""

    def percent(curve):
        return 100 * equal_error_rate(curve)

    return {
        "EER %": bootstrap_speakers(found, percent, seed=seed),
        "minDCF": bootstrap_speakers(found, lambda curve: minimum_cost(curve, PRIOR), seed=seed),
        "trials": len(found.scores),
        "speakers": len(np.unique(found.spoken)),
    }
