"""What the gate is for: a user's commands beside those of strangers, and adaptation to recordings of both."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxmeta.metrics import mean_interval
from jaxmeta.verification.assistant import Assistant, Embeddings
from jaxmeta.verification.building import EmbeddedRecordings
from jaxmeta.verification.gate import Gate
from jaxmeta.verification.protocols.users import draw_users, nearest_words
from jaxmeta.verification.user import User, absorb, enroll

SHARE = 0.1
"""Of strangers among the recordings that come in after enrolment."""
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


def streams(recordings: EmbeddedRecordings, users: int, seed: int) -> Iterator[Stream]:
    """Users, two thirds of whose later recordings they adapt to, with strangers among them."""
    rng = np.random.default_rng(seed)
    for drawn in draw_users(recordings, 1, users, rng):
        own = np.concatenate([rows[: 2 * len(rows) // 3] for rows in drawn.rest])
        query = np.concatenate([rows[2 * len(rows) // 3 :] for rows in drawn.rest])
        count = max(1, round(SHARE / (1 - SHARE) * len(own)))
        strangers = rng.choice(np.flatnonzero(recordings.speakers != drawn.speaker), count, replace=False)
        enrolled = drawn.enrolled.ravel()
        yield Stream(enroll(recordings.at(enrolled), drawn.words.tolist()), enrolled, own, strangers, query)


def gated_adaptation(
    assistant: Assistant, recordings: EmbeddedRecordings, gate: Gate, users: int, seed: int
) -> list[dict]:
    """Rows: the word error in percent after streams without and with strangers, without and with the gate.

    One recording of each word enrols the words and the voice. Those that come later have no labels: each counts for
    the word that the enrolment takes it for. "change" is against the stream without strangers and without a gate.
    Args:
      assistant: to adapt.
      recordings: of words by test speakers.
      gate: decides whose recordings count.
      users: number of users.
      seed: of the draws.
    """
    errors: dict[str, list[float]] = {}
    for stream in streams(recordings, users, seed):
        own, mixed = (recordings.at(rows) for rows in (stream.own, np.append(stream.own, stream.strangers)))
        adapted = {
            "enrolment alone": stream.user,
            "clean stream": _adapted(assistant, stream.user, own, _OPEN),
            "clean stream, gated": _adapted(assistant, stream.user, own, gate),
            "a tenth strangers": _adapted(assistant, stream.user, mixed, _OPEN),
            "a tenth strangers, gated": _adapted(assistant, stream.user, mixed, gate),
        }
        query = recordings.at(stream.query)
        for name, user in adapted.items():
            wrong = nearest_words(user, query.words) != recordings.labels[stream.query]
            errors.setdefault(name, []).append(100 * float(np.mean(wrong)))
    clean = np.array(errors["clean stream"])
    return [
        {"adapted to": name, "word error %": mean_interval(np.array(each)), "change": mean_interval(each - clean)}
        for name, each in errors.items()
    ]


def gated_use(assistant: Assistant, recordings: EmbeddedRecordings, gate: Gate, users: int, seed: int) -> list[dict]:
    """Rows: what becomes of a user's commands and of those of strangers who say the same words, in percent.

    "right" is accepted and the right word, "wrong" accepted and another word. Arguments are those of
    `gated_adaptation`.
    """
    shares: dict[str, dict[str, list[float]]] = {"own": {}, "strangers'": {}}
    rng = np.random.default_rng(seed)
    for stream in streams(recordings, users, seed):
        speaker = recordings.speakers[stream.query[0]]
        same = np.isin(recordings.labels, stream.user.words) & (recordings.speakers != speaker)
        strangers = rng.choice(np.flatnonzero(same), len(stream.query))
        for who, rows in zip(shares, (stream.query, strangers), strict=True):
            commands = recordings.at(rows)
            ratios = assistant.voice_ratios(stream.user.prototype, commands.voices)
            decisions = np.array([gate.decide(float(ratio)) for ratio in ratios])
            right = nearest_words(stream.user, commands.words) == recordings.labels[rows]
            for name, each in {
                "right": (decisions == "accept") & right, "wrong": (decisions == "accept") & ~right,
                "unsure": decisions == "unsure", "rejected": decisions == "reject",
            }.items():  # fmt: skip
                shares[who].setdefault(name, []).append(100 * float(each.mean()))
    return [
        {"who": who} | {name: mean_interval(np.array(each)) for name, each in outcomes.items()}
        for who, outcomes in shares.items()
    ]


def _adapted(assistant: Assistant, user: User, recordings: Embeddings, gate: Gate) -> User:
    """The user after recordings without labels."""
    return absorb(assistant, user, recordings, nearest_words(user, recordings.words).tolist(), gate)[0]
