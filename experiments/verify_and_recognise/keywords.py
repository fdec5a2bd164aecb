"""An open set: enrolled words among other words and none at all, and false alarms in an hour of background."""

from collections.abc import Sequence

import numpy as np

from experiments.verify_and_recognise.gating import EPISODES, WAYS
from jaxmeta.data.word_corpora import FEATURES
from jaxmeta.metrics import mean_interval
from jaxmeta.verification.assistant import Assistant, embed_recordings
from jaxmeta.verification.building import EmbeddedRecordings, enrolment_split
from jaxmeta.verification.open_set import classify, word_odds
from jaxmeta.verification.spotting import peaks, stretches

USERS = 50
"""Whose false alarms are counted, of each corpus."""
QUERIES = 15
"""Recordings of each class, the last of which are other words and background."""


class Background:
    """Long recordings without any of the words, as an assistant searches them."""

    def __init__(self, one: Assistant, recordings: Sequence[np.ndarray]):
        searched = [stretches(recording, FEATURES.frame_rate) for recording in recordings]
        self.places = [places for places, _ in searched]
        embeddings = embed_recordings(one, [clip for _, clips in searched for clip in clips]).words
        self.embeddings = np.split(embeddings, np.cumsum([len(places) for places in self.places])[:-1])
        self.hours = sum(map(len, recordings)) / FEATURES.frame_rate / 3600


def open_set(one: Assistant, found: EmbeddedRecordings, background: Background, shots: int, seed: int) -> dict:
    """Accuracies in percent over words, `unknown` and `silence`: of all, and of each of the three kinds.

    A test speaker enrols `WAYS` words; `unknown` is the speaker's other words, `silence` stretches of background.
    """
    rng, speakers = np.random.default_rng(seed), np.unique(found.speakers)
    noise, scores = np.concatenate(background.embeddings), []
    for episode in range(EPISODES):
        user = speakers[episode % len(speakers)]
        own = found.labels[found.speakers == user]
        words = rng.choice(np.unique(own), WAYS, replace=False)
        enrolled, rest = enrolment_split(found, user, words, shots, rng)
        others = rng.choice(np.flatnonzero((found.speakers == user) & ~np.isin(found.labels, words)), QUERIES)
        clips = [found.embeddings.words[rows[:QUERIES]] for rows in (*rest, others)]
        clips.append(noise[rng.choice(len(noise), QUERIES)])
        odds = word_odds(
            np.concatenate(clips), found.embeddings.words[enrolled].mean(axis=1), one.unknown, one.silence
        )  # fmt: skip
        words, silence = one.card.word_calibration(odds.words), one.card.background_calibration(odds.silence)
        right = classify(words, silence) == np.repeat(np.arange(WAYS + 2), [*map(len, clips)])
        kinds = np.split(right, np.cumsum([sum(map(len, clips[:WAYS])), QUERIES]))
        each = [float(part.mean()) for part in kinds]
        scores.append([(WAYS * each[0] + each[1] + each[2]) / (WAYS + 2), *each])
    names = ("all", "words", "unknown", "silence")
    return {name: mean_interval(100 * np.array(scores)[:, place]) for place, name in enumerate(names)}


def false_alarms(
    one: Assistant, found: EmbeddedRecordings, background: Background, shots: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, false accepts an hour of background, and the share of enrolled words that are missed or mistaken.

    The mean over `USERS` users; thresholds are log-likelihood ratios in nats.
    """
    rng, speakers = np.random.default_rng(seed), np.unique(found.speakers)
    alarms, spoken = [], []
    for episode in range(USERS):
        user = speakers[episode % len(speakers)]
        words = rng.choice(np.unique(found.labels[found.speakers == user]), WAYS, replace=False)
        enrolled, rest = enrolment_split(found, user, words, shots, rng)
        prototypes = found.embeddings.words[enrolled].mean(axis=1)
        for places, embeddings in zip(background.places, background.embeddings, strict=True):
            ratios = one.card.word_calibration(word_odds(embeddings, prototypes, one.unknown, one.silence).words).max(
                axis=1
            )
            alarms.append(ratios[peaks(places, ratios)])
        for place, rows in enumerate(rest):
            ratios = one.card.word_calibration(
                word_odds(found.embeddings.words[rows], prototypes, one.unknown, one.silence).words
            )
            spoken.append(np.where(ratios.argmax(axis=1) == place, ratios.max(axis=1), -np.inf))
    false, missed = np.sort(np.concatenate(alarms)), np.sort(np.concatenate(spoken))
    thresholds = np.unique(np.quantile(false, np.linspace(0.5, 1, 400)))
    an_hour = (len(false) - np.searchsorted(false, thresholds)) / USERS / background.hours
    return thresholds, an_hour, np.searchsorted(missed, thresholds) / len(missed)
