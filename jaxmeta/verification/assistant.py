"""An assistant: one network for words and voices, and all that its use needs, as a folder that checks itself."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.bundle import BundleKind, open_bundle, save_bundle
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.sampling.padding import round_up
from jaxmeta.data.windows import starts
from jaxmeta.models.layers import speech_form
from jaxmeta.models.speaker import SPEAKER, WORD, word_and_speaker
from jaxmeta.padding import pad_rows
from jaxmeta.types import Model, PyTree
from jaxmeta.verification.calibration import Calibration
from jaxmeta.verification.scoring import adaptive_s_norm, mean_direction

ASSISTANT = BundleKind(
    "assistant", "assistant.json", 2, (), "give a folder that `jaxmeta train assistant` of this version wrote"
)
_ROWS = 32


@dataclass(frozen=True)
class AssistantCard:
    """What an assistant is, besides its weights. Raises ValueError where a number is out of range."""

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
    voice_calibration: Calibration
    """From a voice's score to a log-likelihood ratio."""
    word_calibration: Calibration
    """The same for a word's odds."""
    background_calibration: Calibration
    """The same for the odds of background noise against words."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: commit, seed, data, command."""

    def __post_init__(self) -> None:
        least = {"width": 1, "embedding": 1, "stretch": 2, "cohort": 1, "unknown": 1, "silence": 1, "top": 0}
        for name, number in least.items():
            if (value := getattr(self, name)) < number:
                raise ValueError(f"{name}={value} must be {number} or more.")
        if self.top > self.cohort:
            raise ValueError(f"top={self.top} must be at most cohort={self.cohort}.")


class Assistant(NamedTuple):
    """A network, and what its embeddings are compared with."""

    card: AssistantCard
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
        return self.card.voice_calibration(scores[0])


def network(width: int, embedding: int) -> Model:
    """The model of a card with these numbers."""
    return word_and_speaker(width=width, embedding=embedding)


class Embeddings(NamedTuple):
    """What an assistant makes of recordings."""

    words: np.ndarray
    """Embeddings of each as a word [N, D]."""
    voices: np.ndarray
    """Unit vectors of who speaks in each [N, E]."""


def embed_recordings(assistant: Assistant, features: Sequence[np.ndarray]) -> Embeddings:
    """Embeddings of recordings of a word each, given their features [T, F]."""
    return Embeddings(_embed(assistant, features)[WORD], embed_voices(assistant, features))


def embed_voices(assistant: Assistant, features: Sequence[np.ndarray]) -> np.ndarray:
    """Unit vectors of who speaks in recordings of any length [N, E]: the mean direction over their stretches."""
    parts, owners = [], []
    for row, frames in enumerate(features):
        for start in starts(len(frames), assistant.card.stretch, assistant.card.stretch // 2):
            parts.append(frames[start : start + assistant.card.stretch])
            owners.append(row)
    return mean_direction(_embed(assistant, parts)[SPEAKER], np.array(owners), len(features))


def save_assistant(folder: str | Path, assistant: Assistant) -> Path:
    """Write the assistant into a folder, made if missing; the card last, so that a folder with one is whole.

    Raises:
      ValueError: weights that are not finite; nothing is written.
      OSError: it could not be written.
    """
    arrays = {name: leaf for name, leaf in assistant._asdict().items() if name != "card"}
    return save_bundle(folder, ASSISTANT, dataclasses.asdict(assistant.card), arrays)


def load_assistant(folder: str | Path) -> Assistant:
    """Read what `save_assistant` wrote.

    Raises:
      CardError, BundleError: there is none, it is damaged, or its parts do not fit each other.
    """
    bundle = open_bundle(folder, ASSISTANT, AssistantCard)
    card = bundle.card
    for name in ("width", "embedding"):
        bundle.check_size(bundle.place.at(name), getattr(card, name))
    weights = bundle.weights(_shapes(card))
    arrays = {name: np.asarray(weights[name]) for name in ("cohort", "unknown", "silence")}
    return Assistant(card, weights["params"], **arrays)


def _shapes(card: AssistantCard) -> dict[str, PyTree]:
    """The form of all arrays of an assistant."""
    model, key = network(card.width, card.embedding), jax.random.key(0)
    speech = speech_form(1, 8, card.features.size)
    params, _ = jax.eval_shape(model.init, key, speech)
    outputs, _ = jax.eval_shape(lambda params, speech: model.apply(params, {}, speech, key, False), params, speech)
    size = outputs[WORD].shape[1]
    rows = {"cohort": (card.cohort, card.embedding), "unknown": (card.unknown, size), "silence": (card.silence, size)}
    return {"params": params} | {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in rows.items()}


def _embed(assistant: Assistant, features: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """What the network gives for recordings, in batches of one form."""
    longest, batches = int(round_up(max(map(len, features)))), []
    blank = np.zeros((1, assistant.card.features.size), np.float32)  # fills the last batch up
    for start in range(0, len(features), _ROWS):
        rows = features[start : start + _ROWS]
        speech = pad_rows([*rows, *[blank] * (_ROWS - len(rows))], longest)
        program = _program(assistant.card.width, assistant.card.embedding)
        outputs = jax.tree.map(np.asarray, program(assistant.params, speech))
        batches.append({name: leaf[: len(rows)] for name, leaf in outputs.items()})
    embedded = {name: np.concatenate([part[name] for part in batches]) for name in (WORD, SPEAKER)}
    for leaf in embedded.values():
        if not (finite := np.isfinite(leaf).all(axis=1)).all():
            raise ValueError(
                f"the network makes numbers of recording {int(np.argmin(finite))} that are not finite; train it again, "
                "or leave that recording out."
            )
    return embedded


@functools.lru_cache(maxsize=4)
def _program(width: int, embedding: int) -> Callable[..., dict[str, jax.Array]]:
    model = network(width, embedding)
    return jax.jit(lambda params, speech: model.apply(params, {}, speech, jax.random.key(0), False)[0])
