"""Somebody who enrolled: a voice and words, as sums of embeddings, which more recordings may be added to.

What is kept are means of embeddings, as `enrolment` and `protonet` adapt; no recording can be heard again from them.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxmeta.durable import write_json
from jaxmeta.training.checkpoint import CheckpointError
from jaxmeta.training.weights import load_weights, save_weights
from jaxmeta.verification.assistant import Assistant, AssistantError, Heard, load_assistant, save_assistant
from jaxmeta.verification.gate import Decision, Gate
from jaxmeta.verification.open_set import SILENCE, UNKNOWN

FORMAT = 1
CARD, SUMS, ASSISTANT = "user.json", "sums", "assistant"


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

    @property
    def prototype(self) -> np.ndarray:
        """The voice as a unit vector [E]."""
        return self.voice / np.linalg.norm(self.voice)

    @property
    def prototypes(self) -> np.ndarray:
        """The mean embedding of each word [W, D]."""
        return self.sums / np.array(self.counts)[:, None]


def enroll(heard: Heard, labels: Sequence[str] | None) -> User:
    """Somebody's voice from recordings, and words from those of them that have a label.

    Args:
      heard: embeddings of N recordings.
      labels: the word said in each, "" where there is none; None: no words.
    Raises:
      ValueError: no recordings, or a word that is called like what is not a word.
    """
    if not len(heard.voices):
        raise ValueError("enroll needs one recording at least, got none.")
    empty = User(np.zeros_like(heard.voices[0]), 0, (), np.zeros((0, heard.words.shape[1]), np.float32), ())
    return _added(empty, heard, labels)


def absorb(
    one: Assistant, user: User, heard: Heard, labels: Sequence[str] | None, gate: Gate
) -> tuple[User, list[Decision]]:
    """Add recordings to a user's voice and words, but only those whose speaker is accepted.

    All of them are judged by what the user was before, so that their order does not count.
    Args:
      one: the assistant.
      user: who enrolled.
      heard: embeddings of N recordings.
      labels: as in `enroll`; new words may be among them.
      gate: decides.
    Returns:
      The user, and what was decided on each recording.
    Raises:
      ValueError: an accepted recording's word is called like what is not a word.
    """
    decisions = [gate.decide(float(ratio)) for ratio in one.voice_ratios(user.prototype, heard.voices)]
    kept = [row for row, decision in enumerate(decisions) if decision == "accept"]
    if not kept:
        return user, decisions
    chosen = Heard(heard.words[kept], heard.voices[kept])
    return _added(user, chosen, None if labels is None else [labels[row] for row in kept]), decisions


def save_user(folder: str | Path, one: Assistant, user: User) -> Path:
    """Write a user and the assistant that knows them into a folder, made if missing; the card last.

    Raises:
      OSError: it could not be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    save_assistant(folder / ASSISTANT, one)
    save_weights(folder / SUMS, {"voice": user.voice, "words": user.sums})
    kept = {"clips": user.clips, "words": dict(zip(user.words, user.counts, strict=True))}
    write_json(folder / CARD, {"format": FORMAT, "kind": "user"} | kept)
    return folder


def load_user(folder: str | Path) -> tuple[Assistant, User]:
    """Read what `save_user` wrote.

    Raises:
      AssistantError: there is none, it is damaged, or its parts do not fit each other.
    """
    folder, path = Path(folder), Path(folder, CARD)
    if not path.is_file():
        raise AssistantError(f"{folder}: nobody is enrolled here ({CARD} is missing); run `jaxmeta enroll` first.")
    try:
        read = json.loads(path.read_bytes())
        if read["kind"] != "user" or read["format"] != FORMAT:
            raise AssistantError(f"{path}: is a {read['kind']!r} of format {read['format']}; enrol again.")
        clips, words = int(read["clips"]), {str(word): int(count) for word, count in read["words"].items()}
    except AssistantError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AssistantError(f"{path}: not an enrolment ({error!r}); enrol again.") from error
    one = load_assistant(folder / ASSISTANT)
    shapes = {"voice": (one.card.embedding,), "words": (len(words), one.unknown.shape[1])}
    like = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in shapes.items()}
    try:
        sums = jax.tree.map(np.asarray, load_weights(folder / SUMS, like))
    except CheckpointError as error:
        raise AssistantError(f"{folder}: {SUMS} is missing, damaged, or does not fit {CARD}: {error}") from error
    return one, User(sums["voice"], clips, tuple(words), sums["words"], tuple(words.values()))


def _added(user: User, heard: Heard, labels: Sequence[str] | None) -> User:
    given = labels or [""] * len(heard.voices)
    if taken := {UNKNOWN, SILENCE} & {*given}:
        raise ValueError(f"label {taken.pop()!r} stands for what is not an enrolled word; give the word another name.")
    names = tuple(sorted({*user.words, *given} - {""}))
    sums = np.zeros((len(names), heard.words.shape[1]), np.float32)
    counts = np.zeros(len(names), int)
    for place, name in enumerate(names):
        rows = [row for row, label in enumerate(given) if label == name]
        sums[place], counts[place] = heard.words[rows].sum(axis=0), len(rows)
        if name in user.words:
            old = user.words.index(name)
            sums[place] += user.sums[old]
            counts[place] += user.counts[old]
    return User(
        user.voice + heard.voices.sum(axis=0), user.clips + len(heard.voices), names, sums, tuple(counts.tolist())
    )
