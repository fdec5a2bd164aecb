"""An enrolled user: sums of the embeddings of a voice and of words, to which later recordings can be added.

Means of embeddings are stored, as `enrolment` and `protonet` adapt; no recording can be restored from them.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxmeta.bundle import BundleKind, open_bundle, save_bundle
from jaxmeta.verification.assistant import ASSISTANT, Assistant, Embeddings, load_assistant, save_assistant
from jaxmeta.verification.gate import Decision, Gate
from jaxmeta.verification.open_set import SILENCE, UNKNOWN

_ASSISTANT = f"assistant/{ASSISTANT.card}"
USER = BundleKind("user", "user.json", 3, (_ASSISTANT,), "run `jaxmeta enroll` of this version first")


@dataclass(frozen=True)
class Enrolment:
    """What the card of a user says. Raises ValueError where a number is below 1."""

    clips: int
    """Recordings of the voice."""
    words: dict[str, int]
    """Recordings of each word."""
    recordings: list[str]
    """Digests of the recordings that count, so that a copy of one is known."""

    def __post_init__(self) -> None:
        for name, value in {"clips": self.clips, **self.words}.items():
            if value < 1:
                raise ValueError(f"{name}={value} must be 1 or more.")


class User(NamedTuple):
    """A voice, and words by it."""

    voice: np.ndarray
    """Sum of the unit vectors of the recordings [E]."""
    clips: int
    """Recordings of the voice."""
    words: tuple[str, ...]
    """Names of the words, sorted."""
    sums: np.ndarray
    """Of the embeddings of each word's recordings [W, D]."""
    counts: tuple[int, ...]
    """Recordings of each word."""
    recordings: frozenset[str] = frozenset()
    """Digests of the recordings, as far as they were given."""

    @property
    def prototype(self) -> np.ndarray:
        """The voice as a unit vector [E]."""
        return self.voice / np.linalg.norm(self.voice)

    @property
    def prototypes(self) -> np.ndarray:
        """The mean embedding of each word [W, D]."""
        return self.sums / np.array(self.counts)[:, None]


def enroll(embeddings: Embeddings, labels: Sequence[str] | None, digests: Sequence[str] = ()) -> User:
    """Somebody's voice from recordings, and words from those of them that have a label.

    Args:
      embeddings: of N recordings.
      labels: the word said in each, "" where there is none; None: no words.
      digests: of the recordings, as `Recordings` has them; without them, no copy is known later.
    Raises:
      ValueError: no recordings, or a word that is called like what is not a word.
    """
    if not len(embeddings.voices):
        raise ValueError("enroll needs one recording at least, got none.")
    empty = User(np.zeros_like(embeddings.voices[0]), 0, (), np.zeros((0, embeddings.words.shape[1]), np.float32), ())
    return _added(empty, embeddings, labels)._replace(recordings=frozenset(digests))


def absorb(
    assistant: Assistant,
    user: User,
    embeddings: Embeddings,
    labels: Sequence[str] | None,
    gate: Gate,
    digests: Sequence[str] = (),
) -> tuple[User, list[Decision]]:
    """Add recordings to a user's voice and words, but only those whose speaker is accepted.

    All of them are judged by what the user was before, so that their order does not count.
    Args:
      assistant: whose network is used.
      user: who enrolled.
      embeddings: of N recordings.
      labels: as in `enroll`; new words may be among them.
      gate: decides.
      digests: as in `enroll`.
    Returns:
      The user, and what was decided on each recording.
    Raises:
      ValueError: an accepted recording's word is called like what is not a word.
    """
    decisions = [gate.decide(float(ratio)) for ratio in assistant.voice_ratios(user.prototype, embeddings.voices)]
    accepted = [row for row, decision in enumerate(decisions) if decision == "accept"]
    if not accepted:
        return user, decisions
    chosen = Embeddings(embeddings.words[accepted], embeddings.voices[accepted])
    added = _added(user, chosen, None if labels is None else [labels[row] for row in accepted])
    known = user.recordings | {digests[row] for row in accepted if digests}
    return added._replace(recordings=known), decisions


def save_user(folder: str | Path, assistant: Assistant, user: User) -> Path:
    """Write a user and the assistant that knows them into a folder, made if missing; the card last.

    Raises:
      ValueError: embeddings or weights that are not finite.
      OSError: it could not be written.
    """
    card = Enrolment(user.clips, dict(zip(user.words, user.counts, strict=True)), sorted(user.recordings))
    sums = {"voice": user.voice, "words": user.sums}
    files = {_ASSISTANT: lambda path: save_assistant(path.parent, assistant)}
    return save_bundle(folder, USER, dataclasses.asdict(card), sums, files)


def load_user(folder: str | Path) -> tuple[Assistant, User]:
    """Read what `save_user` wrote.

    Raises:
      CardError, BundleError: there is none, it is damaged, or its parts do not fit each other.
    """
    bundle = open_bundle(folder, USER, Enrolment)
    assistant, words = load_assistant((bundle.folder / _ASSISTANT).parent), bundle.card.words
    shapes = {"voice": (assistant.card.embedding,), "words": (len(words), assistant.unknown.shape[1])}
    like = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in shapes.items()}
    sums = jax.tree.map(np.asarray, bundle.weights(like))
    recordings = frozenset(bundle.card.recordings)
    return assistant, User(
        sums["voice"], bundle.card.clips, tuple(words), sums["words"], tuple(words.values()), recordings
    )


def _added(user: User, embeddings: Embeddings, labels: Sequence[str] | None) -> User:
    given = labels or [""] * len(embeddings.voices)
    if taken := {UNKNOWN, SILENCE} & {*given}:
        raise ValueError(f"label {taken.pop()!r} stands for what is not an enrolled word; give the word another name.")
    names = tuple(sorted({*user.words, *given} - {""}))
    sums = np.zeros((len(names), embeddings.words.shape[1]), np.float32)
    counts = np.zeros(len(names), int)
    for place, name in enumerate(names):
        rows = [row for row, label in enumerate(given) if label == name]
        sums[place], counts[place] = embeddings.words[rows].sum(axis=0), len(rows)
        if name in user.words:
            old = user.words.index(name)
            sums[place] += user.sums[old]
            counts[place] += user.counts[old]
    return User(
        user.voice + embeddings.voices.sum(axis=0),
        user.clips + len(embeddings.voices),
        names,
        sums,
        tuple(counts.tolist()),
    )
