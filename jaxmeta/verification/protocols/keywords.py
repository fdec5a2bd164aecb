"""Enrolled words among other words and none at all, and false alarms in an hour of background."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxmeta.data.word_corpora import FEATURES
from jaxmeta.metrics import mean_interval
from jaxmeta.verification.assistant import Assistant, embed_recordings
from jaxmeta.verification.building import EmbeddedRecordings
from jaxmeta.verification.open_set import classify, word_odds
from jaxmeta.verification.protocols.users import WAYS, draw_users
from jaxmeta.verification.spotting import peaks, stretches

QUERIES = 15
"""Recordings of each class of an open set, the last of which are other words and background."""


class Background(NamedTuple):
    """Long recordings without any of the words, as an assistant searches them."""

    places: list[np.ndarray]
    """First and last + 1 frame [S, 2] of the stretches of each recording."""
    embeddings: list[np.ndarray]
    """Of these stretches as words [S, D]."""
    hours: float


class Spotting(NamedTuple):
    """Errors in spotting words, by threshold."""

    thresholds: np.ndarray
    """Log-likelihood ratios in nats, ascending [P]."""
    alarms: np.ndarray
    """False alarms an hour of background [P]."""
    missed: np.ndarray
    """Share of enrolled words that are missed or mistaken [P]."""

    def at(self, alarms: float) -> tuple[float, float]:
        """Share missed and threshold where there are at most so many false alarms an hour."""
        place = int(np.argmax(self.alarms <= alarms))
        return float(self.missed[place]), float(self.thresholds[place])


def embed_background(assistant: Assistant, recordings: Sequence[np.ndarray]) -> Background:
    """Embeddings of all stretches of long recordings, given their log-mels [T, F]."""
    searched = [stretches(recording, FEATURES.frame_rate) for recording in recordings]
    places = [each for each, _ in searched]
    embeddings = embed_recordings(assistant, [clip for _, clips in searched for clip in clips]).words
    hours = sum(map(len, recordings)) / FEATURES.frame_rate / 3600
    return Background(places, np.split(embeddings, np.cumsum([len(each) for each in places])[:-1]), hours)


def shots_to_enrol(recordings: EmbeddedRecordings) -> list[int]:
    """Numbers of recordings that enrol a word: 1 and 5, as far as every word has more of each speaker."""
    keys = np.char.add(np.char.add(recordings.speakers, " "), recordings.labels)
    fewest = np.unique(keys, return_counts=True)[1].min()
    return [shots for shots in (1, 5) if shots < fewest] or [1]


def open_set_accuracy(
    assistant: Assistant, recordings: EmbeddedRecordings, background: Background, shots: int, users: int, seed: int
) -> dict:
    """Accuracies in percent over words, `unknown` and `silence`: of all, and of each of the three kinds.

    A test speaker enrols some words; `unknown` is the speaker's other words, `silence` stretches of background.
    Args:
      assistant: to test.
      recordings: of words by test speakers.
      background: without any of the words.
      shots: recordings that enrol a word.
      users: number of users.
      seed: of the draws.
    """
    rng, noise, scores = np.random.default_rng(seed), np.concatenate(background.embeddings), []
    words = recordings.embeddings.words
    for user in draw_users(recordings, shots, users, rng):
        own = recordings.speakers == user.speaker
        others = rng.choice(np.flatnonzero(own & ~np.isin(recordings.labels, user.words)), QUERIES)
        clips = [words[rows[:QUERIES]] for rows in (*user.rest, others)]
        clips.append(noise[rng.choice(len(noise), QUERIES)])
        prototypes = words[user.enrolled].mean(axis=1)
        odds = word_odds(np.concatenate(clips), prototypes, assistant.unknown, assistant.silence)
        classes = classify(
            assistant.card.word_calibration(odds.words), assistant.card.background_calibration(odds.silence)
        )
        right = classes == np.repeat(np.arange(WAYS + 2), [*map(len, clips)])
        kinds = np.split(right, np.cumsum([sum(map(len, clips[:WAYS])), QUERIES]))
        each = [float(part.mean()) for part in kinds]
        scores.append([(WAYS * each[0] + each[1] + each[2]) / (WAYS + 2), *each])
    names = ("all", "words", "unknown", "silence")
    return {name: mean_interval(100 * np.array(scores)[:, place]) for place, name in enumerate(names)}


def false_alarms(
    assistant: Assistant, recordings: EmbeddedRecordings, background: Background, shots: int, users: int, seed: int
) -> Spotting:
    """Words that are spotted in background where there are none, beside enrolled words that are not, over all users.

    Arguments are those of `open_set_accuracy`.
    """
    rng, alarms, spoken = np.random.default_rng(seed), [], []
    words = recordings.embeddings.words

    def ratios(clips: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
        return assistant.card.word_calibration(word_odds(clips, prototypes, assistant.unknown, assistant.silence).words)

    for user in draw_users(recordings, shots, users, rng):
        prototypes = words[user.enrolled].mean(axis=1)
        for places, clips in zip(background.places, background.embeddings, strict=True):
            best = ratios(clips, prototypes).max(axis=1)
            alarms.append(best[peaks(places, best)])
        for word, rows in enumerate(user.rest):
            scores = ratios(words[rows], prototypes)
            spoken.append(np.where(scores.argmax(axis=1) == word, scores.max(axis=1), -np.inf))
    false, missed = np.sort(np.concatenate(alarms)), np.sort(np.concatenate(spoken))
    thresholds = np.unique(np.quantile(false, np.linspace(0.5, 1, 400)))
    an_hour = (len(false) - np.searchsorted(false, thresholds)) / users / background.hours
    return Spotting(thresholds, an_hour, np.searchsorted(missed, thresholds) / len(missed))
