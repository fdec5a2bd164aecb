"""Users drawn from test speakers: each enrols a few words, and what else the speaker recorded comes in later."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxmeta.verification.building import EmbeddedRecordings, enrolment_split
from jaxmeta.verification.user import User

WAYS = 5
"""Words that a user enrols."""


class DrawnUser(NamedTuple):
    """A test speaker with some words, and rows of the recordings that they are drawn from."""

    speaker: str
    words: np.ndarray
    """Names [W]."""
    enrolled: np.ndarray
    """Rows [W, shots]."""
    rest: list[np.ndarray]
    """Rows of each word that are left, in random order."""


def draw_users(recordings: EmbeddedRecordings, shots: int, count: int, rng: np.random.Generator) -> Iterator[DrawnUser]:
    """One test speaker after another, each with `WAYS` words.

    Args:
      recordings: of the test speakers.
      shots: recordings that enrol a word.
      count: of users.
      rng: draws the words and the recordings; between two users, the caller may draw from it, too.
    """
    speakers = np.unique(recordings.speakers)
    for number in range(count):
        speaker = speakers[number % len(speakers)]
        words = rng.choice(np.unique(recordings.labels[recordings.speakers == speaker]), WAYS, replace=False)
        yield DrawnUser(speaker, words, *enrolment_split(recordings, speaker, words, shots, rng))


def nearest_words(user: User, embeddings: np.ndarray) -> np.ndarray:
    """The enrolled word nearest to each embedding [N, D], as names [N]."""
    distances = np.square(embeddings[:, None] - user.prototypes[None]).sum(axis=-1)
    return np.array(user.words)[distances.argmin(axis=1)]
