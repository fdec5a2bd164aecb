"""One network for words and voices, kept as a folder with all that is needed to use it, which checks its parts."""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.sampling.padding import round_up
from jaxmeta.data.windows import starts
from jaxmeta.durable import write_json
from jaxmeta.models.speaker import SPEAKER, WORD, word_and_speaker
from jaxmeta.training.checkpoint import CheckpointError
from jaxmeta.training.weights import load_weights, save_weights
from jaxmeta.types import Model, PyTree, Ragged
from jaxmeta.verification.calibration import Calibration
from jaxmeta.verification.scoring import adaptive_s_norm, mean_direction

FORMAT = 1
CARD, WEIGHTS = "assistant.json", "weights"
_ROWS = 32


@dataclass(frozen=True)
class Card:
    """What an assistant is, besides its weights."""

    width: int
    """Of the network's trunk."""
    embedding: int
    """Numbers in a voice's embedding, E."""
    features: FeatureConfig
    stretch: int
    """Frames of the stretches that longer recordings are cut into, half overlapping."""
    cohort: int
    """Speakers that scores are normalised by, M."""
    unknown: int
    """Other words that recordings are compared with."""
    silence: int
    """Kinds of background that they are compared with."""
    top: int
    """Members of the cohort that count, those most alike; 0: scores are plain cosines."""
    voices: Calibration
    """From a voice's score to a log-likelihood ratio."""
    words: Calibration
    """The same for a word's odds."""
    background: Calibration
    """The same for the odds of background noise against words."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: commit, seed, data, command."""


class Assistant(NamedTuple):
    """A network, and what its embeddings are compared with."""

    card: Card
    params: PyTree
    cohort: np.ndarray
    """Unit vectors of other speakers [M, E]."""
    unknown: np.ndarray
    """Embeddings of other words [U, D]."""
    silence: np.ndarray
    """Embeddings of background [S, D]."""

    @property
    def model(self) -> Model:
        """Model of Ragged log-mels to {"word": [N, D], "speaker": unit vectors [N, E]}; no state."""
        return network(self.card.width, self.card.embedding)

    def voice_ratios(self, enrolled: np.ndarray, voices: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios [T] in nats that the voices [T, E] are the one enrolled [E], against another's."""
        scores = enrolled[None] @ voices.T
        if self.card.top:
            scores = adaptive_s_norm(scores, enrolled[None] @ self.cohort.T, voices @ self.cohort.T, self.card.top)
        return self.card.voices(scores[0])


def network(width: int, embedding: int) -> Model:
    """The model of a card with these numbers."""
    return word_and_speaker(width=width, embedding=embedding)


class AssistantError(ValueError):
    """A folder holds no assistant, a damaged one, or one of another version; the message says what to do."""


class Heard(NamedTuple):
    """What an assistant makes of recordings."""

    words: np.ndarray
    """Embeddings of each as a word [N, D]."""
    voices: np.ndarray
    """Unit vectors of who speaks in each [N, E]."""


def listen(one: Assistant, features: Sequence[np.ndarray]) -> Heard:
    """Embeddings of recordings of a word each, given their features [T, F]."""
    return Heard(_embed(one, features)[WORD], voices_in(one, features))


def voices_in(one: Assistant, features: Sequence[np.ndarray]) -> np.ndarray:
    """Unit vectors of who speaks in recordings of any length [N, E]: the mean direction over their stretches."""
    parts, owners = [], []
    for row, frames in enumerate(features):
        for start in starts(len(frames), one.card.stretch, one.card.stretch // 2):
            parts.append(frames[start : start + one.card.stretch])
            owners.append(row)
    return mean_direction(_embed(one, parts)[SPEAKER], np.array(owners), len(features))


def save_assistant(folder: str | Path, one: Assistant) -> Path:
    """Write the assistant into a folder, made if missing; the card last, so that a folder with one is whole.

    Raises:
      OSError: it could not be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    save_weights(folder / WEIGHTS, {name: leaf for name, leaf in one._asdict().items() if name != "card"})
    write_json(folder / CARD, {"format": FORMAT, "kind": "assistant"} | dataclasses.asdict(one.card))
    return folder


def load_assistant(folder: str | Path) -> Assistant:
    """Read what `save_assistant` wrote.

    Raises:
      AssistantError: there is none, it is damaged, or its parts do not fit each other.
    """
    folder = Path(folder)
    card = _read_card(folder)
    model = network(card.width, card.embedding)
    inputs = Ragged(jnp.zeros((1, 8, card.features.size)), jnp.full(1, 8, jnp.int32))
    params, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
    words = jax.eval_shape(lambda params: model.apply(params, {}, inputs, jax.random.key(0), False)[0][WORD], params)

    def rows(count: int, size: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((count, size), jnp.float32)

    like = {
        "params": params, "cohort": rows(card.cohort, card.embedding),
        "unknown": rows(card.unknown, words.shape[1]), "silence": rows(card.silence, words.shape[1]),
    }  # fmt: skip
    try:
        found = load_weights(folder / WEIGHTS, like)
    except CheckpointError as error:
        raise AssistantError(f"{folder}: the weights are missing, damaged, or do not fit {CARD}: {error}") from error
    arrays = {name: np.asarray(found[name]) for name in ("cohort", "unknown", "silence")}
    return Assistant(card, found["params"], **arrays)


def _read_card(folder: Path) -> Card:
    path = folder / CARD
    if not path.is_file():
        raise AssistantError(
            f"{folder}: no assistant ({CARD} is missing); give a folder that `jaxmeta train assistant` wrote."
        )
    try:
        read = json.loads(path.read_bytes())
        kind, version = read.pop("kind"), read.pop("format")
        if kind != "assistant" or version != FORMAT:
            raise AssistantError(f"{path}: is a {kind!r} of format {version}; this version reads 'assistant' {FORMAT}.")
        features = FeatureConfig(**read.pop("features"))
        lines: dict[str, Any] = {name: Calibration(*read.pop(name)) for name in ("voices", "words", "background")}
        return Card(features=features, **lines, **read)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AssistantError(f"{path}: not an assistant's card ({error!r}); copy it again.") from error


def _embed(one: Assistant, features: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """What the network gives for recordings, in batches of one form."""
    longest, found = int(round_up(max(map(len, features)))), []
    for start in range(0, len(features), _ROWS):
        rows = features[start : start + _ROWS]
        values = np.zeros((_ROWS, longest, one.card.features.size), np.float32)
        lengths = np.ones(_ROWS, np.int32)
        for place, frames in enumerate(rows):
            values[place, : len(frames)], lengths[place] = frames, len(frames)
        outputs = jax.tree.map(np.asarray, _program(one.card.width, one.card.embedding)(one.params, values, lengths))
        found.append({name: leaf[: len(rows)] for name, leaf in outputs.items()})
    return {name: np.concatenate([part[name] for part in found]) for name in (WORD, SPEAKER)}


@functools.lru_cache(maxsize=4)
def _program(width: int, embedding: int) -> Callable[..., dict[str, jax.Array]]:
    model = network(width, embedding)
    return jax.jit(
        lambda params, values, lengths: model.apply(params, {}, Ragged(values, lengths), jax.random.key(0), False)[0]
    )
