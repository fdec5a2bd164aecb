"""Voices as unit vectors, by a network for speakers, and their scores, normalised by a cohort of training speakers."""

from typing import NamedTuple

import numpy as np

from jaxmeta import Model
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.windows import windows
from jaxmeta.evaluation.embeddings import embed
from jaxmeta.models.layers import segment_pool
from jaxmeta.models.speaker import unit
from jaxmeta.types import PyTree
from jaxmeta.verification.scoring import adaptive_s_norm, mean_direction

SECOND = 100
"""Frames of the stretches that recordings are cut into, half overlapping."""
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
