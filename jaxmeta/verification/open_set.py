"""Tells enrolled words from other words and from background noise: open-set recognition of keywords.

N enrolled words and M background classes (other words, kinds of noise) are classes of one prototypical network; the
chances of the background classes are summed.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

UNKNOWN, SILENCE = "unknown", "silence"


class Odds(NamedTuple):
    """Clips against words and against everything else, in nats."""

    words: np.ndarray
    """Of each word against all of the background [T, W]; other enrolled words do not count."""
    silence: np.ndarray
    """Of background noise against other words [T]."""


def word_odds(clips: np.ndarray, words: np.ndarray, unknown: np.ndarray, silence: np.ndarray) -> Odds:
    """Logarithms of odds, from squared distances to prototypes.

    Args:
      clips: embeddings [T, D].
      words: prototypes of enrolled words [W, D].
      unknown, silence: prototypes of other words [U, D] and of kinds of background [S, D].
    Source: Parnami and Lee 2020, "Few-shot keyword spotting with prototypical networks" (arXiv 2007.14463), section
      3.2. Differs: unknown and silence are several prototypes each, so that they need not be one cloud.
    """
    to_words, to_unknown, to_silence = (-_distances(clips, those) for those in (words, unknown, silence))
    other, noise = logsumexp(to_unknown, axis=1), logsumexp(to_silence, axis=1)
    return Odds(to_words - np.logaddexp(other, noise)[:, None], noise - other)


def classify(ratios: np.ndarray, silence: np.ndarray) -> np.ndarray:
    """The class of each clip [T]: the number of a word in [0, W), W for `unknown`, W + 1 for `silence`.

    Args:
      ratios: log-likelihood ratios of each word against anything else [T, W], calibrated; a word needs one above 0.
      silence: log-likelihood ratios of background noise against words [T], calibrated.

    >>> classify(np.array([[2.0, 1.0], [-1.0, -2.0], [-1.0, -2.0]]), np.array([-1.0, -1.0, 1.0])).tolist()
    [0, 2, 3]
    """
    best = ratios.argmax(axis=1)
    other = np.where(silence > 0, ratios.shape[1] + 1, ratios.shape[1])
    return np.where(np.take_along_axis(ratios, best[:, None], axis=1)[:, 0] > 0, best, other)


def _distances(clips: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    squares = np.square(clips).sum(1)[:, None] + np.square(prototypes).sum(1)[None]
    return np.maximum(squares - 2 * clips @ prototypes.T, 0)
