"""What the gate is for: a user's words, adapted on recordings some of which are by strangers."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxmeta.metrics import mean_interval
from jaxmeta.verification.assistant import Assistant, Embeddings
from jaxmeta.verification.building import EmbeddedRecordings, enrolment_split
from jaxmeta.verification.gate import Gate
from jaxmeta.verification.user import User, absorb, enroll

EPISODES, WAYS, SHARE = 600, 5, 0.1
"""Users, words of each, and the share of strangers among the recordings that come in later."""
_OPEN = Gate(0.5, 0.0)  # Accepts everybody.


class Stream(NamedTuple):
    """One user's recordings in the order of use."""

    user: User
    """Enrolled with one recording of each word."""
    enrolled: np.ndarray
    """Rows [W]."""
    own: np.ndarray
    strangers: np.ndarray
    query: np.ndarray
    """The user's recordings that are recognised in the end."""


def streams(found: EmbeddedRecordings, seed: int) -> Iterator[Stream]:
    """`EPISODES` users, one test speaker after another, each with some words."""
    rng, speakers = np.random.default_rng(seed), np.unique(found.speakers)
    for episode in range(EPISODES):
        speaker = speakers[episode % len(speakers)]
        words = rng.choice(np.unique(found.labels[found.speakers == speaker]), WAYS, replace=False)
        enrolled, rest = enrolment_split(found, speaker, words, 1, rng)
        own = np.concatenate([rows[: 2 * len(rows) // 3] for rows in rest])
        query = np.concatenate([rows[2 * len(rows) // 3 :] for rows in rest])
        count = max(1, round(SHARE / (1 - SHARE) * len(own)))
        strangers = rng.choice(np.flatnonzero(found.speakers != speaker), count, replace=False)
        user = enroll(found.at(enrolled.ravel()), words.tolist())
        yield Stream(user, enrolled.ravel(), own, strangers, query)


def gated_adaptation(one: Assistant, found: EmbeddedRecordings, gate: Gate, seed: int) -> list[dict]:
    """Rows: the user's word error in percent after streams without and with strangers, without and with the gate.

    "change" is against the stream without strangers and without a gate. One recording of each word enrols the words and
    the voice. Those that come later have no labels: each counts for the word that the enrolment takes it for.
    """
    errors: dict[str, list[float]] = {}
    for stream in streams(found, seed):
        user = stream.user
        mixed = np.concatenate([stream.own, stream.strangers])
        users = {
            "enrolment alone": user,
            "clean stream": _adapted(one, user, found.at(stream.own), _OPEN),
            "clean stream, gated": _adapted(one, user, found.at(stream.own), gate),
            "a tenth strangers": _adapted(one, user, found.at(mixed), _OPEN),
            "a tenth strangers, gated": _adapted(one, user, found.at(mixed), gate),
        }
        for name, each in users.items():
            said = recognised(each, found.embeddings.words[stream.query])
            errors.setdefault(name, []).append(100 * float(np.mean(said != found.labels[stream.query])))
    clean = np.array(errors["clean stream"])
    return [
        {"adapted to": name, "word error %": mean_interval(np.array(each)), "change": mean_interval(each - clean)}
        for name, each in errors.items()
    ]


def gated_use(one: Assistant, found: EmbeddedRecordings, gate: Gate, seed: int) -> list[dict]:
    """Rows: what becomes of a user's commands and of those of strangers who say the same words, in percent.

    "right" is accepted and the right word, "wrong" accepted and another word.
    """
    counts: dict[str, dict[str, list[float]]] = {"own": {}, "strangers'": {}}
    rng = np.random.default_rng(seed)
    for stream in streams(found, seed):
        user, speaker = stream.user, found.speakers[stream.query[0]]
        same = np.isin(found.labels, user.words) & (found.speakers != speaker)
        strangers = rng.choice(np.flatnonzero(same), len(stream.query))
        for who, rows in zip(counts, (stream.query, strangers), strict=True):
            ratios = one.voice_ratios(user.prototype, found.embeddings.voices[rows])
            decisions = np.array([gate.decide(float(ratio)) for ratio in ratios])
            right = recognised(user, found.embeddings.words[rows]) == found.labels[rows]
            for name, each in {
                "right": (decisions == "accept") & right, "wrong": (decisions == "accept") & ~right,
                "unsure": decisions == "unsure", "rejected": decisions == "reject",
            }.items():  # fmt: skip
                counts[who].setdefault(name, []).append(100 * float(each.mean()))
    return [
        {"who": who} | {name: mean_interval(np.array(each)) for name, each in found.items()}
        for who, found in counts.items()
    ]


def recognised(user: User, words: np.ndarray) -> np.ndarray:
    """The enrolled word nearest to each embedding [N, D], as names [N]."""
    distances = np.square(words[:, None] - user.prototypes[None]).sum(axis=-1)
    return np.array(user.words)[distances.argmin(axis=1)]


def _adapted(one: Assistant, user: User, embeddings: Embeddings, gate: Gate) -> User:
    return absorb(one, user, embeddings, recognised(user, embeddings.words).tolist(), gate)[0]
