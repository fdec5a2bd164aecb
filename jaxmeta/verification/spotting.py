"""Where in a recording an enrolled word is said, if anywhere."""

from typing import NamedTuple

import numpy as np

from jaxmeta.data.windows import starts
from jaxmeta.verification.assistant import Assistant, embed_recordings
from jaxmeta.verification.open_set import word_odds
from jaxmeta.verification.user import User

SECONDS, HOP = 1.2, 0.1
"""Of the stretches that a recording is searched in."""
_QUIET = 3.0 * np.log(10.0)  # Nats of power below a stretch's loudest frame that count as silence: 30 dB.


class Spotted(NamedTuple):
    """A word in a recording."""

    word: str
    start: float
    """In seconds."""
    end: float
    ratio: float
    """Log-likelihood ratio of this word against anything else, in nats."""
    voice: float
    """Log-likelihood ratio of this speaker against any other, in nats."""


def spot(assistant: Assistant, user: User, frames: np.ndarray, threshold: float) -> list[Spotted]:
    """Words in one recording, in the order of time; of those that overlap the likeliest stands.

    Args:
      assistant: whose network is used.
      user: whose words are looked for.
      frames: log-mels [T, F] of the whole recording, silence included.
      threshold: log-likelihood ratio in nats from which a word counts as found.
    Raises:
      ValueError: the user enrolled no words.
    """
    if not user.words:
        raise ValueError("no words are enrolled, so that none can be found; enrol recordings with a column label.")
    rate = assistant.card.features.frame_rate
    places, clips = stretches(frames, rate)
    embeddings = embed_recordings(assistant, clips)
    ratios = assistant.card.word_calibration(
        word_odds(embeddings.words, user.prototypes, assistant.unknown, assistant.silence).words
    )
    best, most = ratios.argmax(axis=1), ratios.max(axis=1)
    voices = assistant.voice_ratios(user.prototype, embeddings.voices)
    spotted = [row for row in peaks(places, most) if most[row] >= threshold]
    return [
        Spotted(user.words[best[row]], float(start), float(end), float(most[row]), float(voices[row]))
        for row, (start, end) in zip(spotted, places[spotted] / rate, strict=True)
    ]


def stretches(frames: np.ndarray, rate: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Overlapping stretches of a recording, each without the silence at its ends, as words are enrolled.

    Args:
      frames: log-mels [T, F].
      rate: frames a second.
    Returns:
      First and last + 1 frame of each [S, 2], and their frames; stretches that come out the same are given once.
    """
    size, level = round(SECONDS * rate), np.logaddexp.reduce(frames, axis=1)
    spans: dict[tuple[int, int], None] = {}
    for start in starts(len(frames), size, round(HOP * rate)):
        part = level[start : start + size]
        loud = np.flatnonzero(part >= part.max() - _QUIET)
        spans[start + int(loud[0]), start + int(loud[-1]) + 1] = None
    return np.array(list(spans)), [frames[first:last] for first, last in spans]


def peaks(places: np.ndarray, scores: np.ndarray) -> list[int]:
    """Rows that do not overlap, of those that do the one of the highest score, in the order of time.

    Args:
      places: first and last + 1 frame [S, 2].
      scores: [S].
    """
    taken, chosen = np.zeros(int(places[:, 1].max()), bool), []
    for row in np.argsort(-scores, kind="stable"):
        first, last = places[row]
        if not taken[first:last].any():
            taken[first:last] = True
            chosen.append(int(row))
    return sorted(chosen, key=lambda row: int(places[row, 0]))
