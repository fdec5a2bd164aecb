"""How the networks of this experiment are trained and tested. Imports nothing heavy."""

from typing import NamedTuple


class Recipe(NamedTuple):
    """What a preset means."""

    updates: int
    rate: float
    """Peak learning rate."""
    width: int
    """Of the trunk of a network for one task."""
    shared: int
    """Of the trunk that two tasks share, so that the network is half as large as one for each."""
    pseudo: int
    """Invented words to synthesise."""
    ways: int
    """Words of a training episode."""
    words: tuple[tuple[int, int], ...]
    """(shots, queries) of the episodes of words, taken in turn."""
    clips: int
    """Of a batch in which the speakers of training are told apart."""


PRESETS = {
    "quick": Recipe(400, 2e-3, 64, 48, 300, 20, ((5, 3),), 96),
    "full": Recipe(4_000, 2e-3, 128, 112, 3_000, 20, ((1, 3), (5, 3)), 160),
}
SENTENCE = 200
"""Frames of the stretches that recordings are cut into, for recognisers of sentences."""
SENTENCE_UPDATES = 5_000
"""Of a head for speakers on a recogniser."""
