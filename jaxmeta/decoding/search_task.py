"""The arguments of a beam search, whichever library runs it."""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class SearchTask(NamedTuple):
    """Texts are sequences of entries: the words of a lexicon, or units."""

    entries: tuple[str, ...]
    """The E words or units; all are in the language model."""
    spellings: list[tuple[int, ...]] | None
    """Classes of each word, without the space; None: entry i is the unit of class i + 1."""
    classes: int
    """C, with the blank, 0."""
    space: int
    """Class that ends each word; 0 without a lexicon."""
    arpa: str | os.PathLike[str] | None
    """File of the language model; None: no model."""
    beam: int
    threshold: float
    lm_weight: float
    word_score: float


Decode = Callable[[np.ndarray], list[tuple[tuple[int, ...], float]]]
"""Frames [T, C], finite float32 log-probabilities in one piece -> texts as indices of entries, and scores in nats."""
