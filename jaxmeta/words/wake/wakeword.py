"""A wake word as a folder: the embedding, the head, and what is known of its errors."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxmeta.bundle import BundleKind, open_bundle, save_bundle
from jaxmeta.models.pretrained.word_embedding import embedding_shapes
from jaxmeta.types import PyTree
from jaxmeta.words.wake.alarms import PAUSE, Threshold
from jaxmeta.words.wake.head import Layer, logits
from jaxmeta.words.wake.stream import CONTEXT, FEATURES, STEP_SECONDS, EmbeddingStream

WAKE_WORD = BundleKind(
    "wake word", "wakeword.json", 1, (), "give a folder that `jaxmeta train wakeword` of this version wrote"
)


@dataclass(frozen=True)
class WakeWordCard:
    """What a wake word is, besides its weights. Raises ValueError where a number is out of range."""

    word: str
    """Its name."""
    recordings: int
    """That it was made from."""
    alarms: int
    """False alarms on the held-out speech that the threshold was chosen on."""
    hours: float
    """Of that speech."""
    hidden: dict[str, int]
    """Units of each hidden layer, by its place."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: commit, seed, data, command."""

    def __post_init__(self) -> None:
        least = {"recordings": 1, "alarms": 0} | dict.fromkeys(self.hidden, 1)
        for name, value in ({"recordings": self.recordings, "alarms": self.alarms} | self.hidden).items():
            if value < least[name]:
                raise ValueError(f"{name}={value} must be {least[name]} or more.")
        if self.hours <= 0:
            raise ValueError(f"hours={self.hours} must be above 0.")


class WakeWord(NamedTuple):
    """A detector of one word; a score of 0.5 is its threshold."""

    card: WakeWordCard
    embedding: PyTree
    """Params of `word_embedding`."""
    layers: Sequence[Layer]
    """Of the head; the threshold is in the last bias."""

    @property
    def threshold(self) -> Threshold:
        """What the threshold did on the speech that it was chosen on, as a logit of 0."""
        return Threshold(0.0, self.card.alarms, self.card.hours)


class Detection(NamedTuple):
    """A wake word in a stream."""

    seconds: float
    """From the beginning of the stream to the end of the step in which the word was noticed."""
    score: float
    """0.5 or more."""


class Detector:
    """Takes sound in pieces of any length, and says where the word is; pieces give what the whole gives."""

    def __init__(self, wakeword: WakeWord):
        self._stream, self._layers = EmbeddingStream(wakeword.embedding), wakeword.layers
        self._steps, self._free = 0, 0

    def scores(self, samples: np.ndarray) -> np.ndarray:
        """The next samples [S] at 16 kHz -> a logit for each step that they complete [K]; 0 is the threshold."""
        windows = self._stream.windows(samples)
        self._steps += len(windows)
        return logits(self._layers, windows)

    def push(self, samples: np.ndarray, accepts: Callable[[], bool] = lambda: True) -> list[Detection]:
        """The next samples [S] at 16 kHz -> the words that they complete, at most one in 2 s.

        Args:
          samples: of the stream.
          accepts: asked before a word counts; one that is refused does not count, and no pause follows it.
        """
        first, noticed = self._steps, []
        for step, logit in enumerate(self.scores(samples).tolist(), first):
            if logit >= 0 and step >= self._free and accepts():
                self._free = step + PAUSE + 1
                noticed.append(Detection((step + 1) * STEP_SECONDS, float(1 / (1 + np.exp(-logit)))))
        return noticed


def save_wakeword(folder: str | Path, wakeword: WakeWord) -> Path:
    """Write a wake word into a folder, made if missing; the card last.

    Raises:
      ValueError: weights that are not finite; nothing is written.
      OSError: it could not be written.
    """
    head = {f"{number:02d}": layer._asdict() for number, layer in enumerate(wakeword.layers)}
    weights = {"embedding": wakeword.embedding, "head": head}
    return save_bundle(folder, WAKE_WORD, dataclasses.asdict(wakeword.card), weights)


def load_wakeword(folder: str | Path) -> WakeWord:
    """Read what `save_wakeword` wrote.

    Raises:
      CardError, BundleError: there is none, it is damaged, or its parts do not fit each other.
    """
    bundle = open_bundle(folder, WAKE_WORD, WakeWordCard)
    sizes = [CONTEXT * FEATURES, *bundle.card.hidden.values(), 1]
    for name, size in bundle.card.hidden.items():
        bundle.check_size(bundle.place.at("hidden").at(name), size)
    shapes = {
        f"{number:02d}": {
            "weight": jax.ShapeDtypeStruct((rows, units), np.float32),
            "bias": jax.ShapeDtypeStruct((units,), np.float32),
        }
        for number, (rows, units) in enumerate(itertools.pairwise(sizes))
    }
    weights = bundle.weights({"embedding": embedding_shapes(), "head": shapes})
    head = weights["head"]
    return WakeWord(
        bundle.card, weights["embedding"],
        [Layer(np.asarray(head[f"{n:02d}"]["weight"]), np.asarray(head[f"{n:02d}"]["bias"])) for n in range(len(head))],
    )  # fmt: skip


def is_wakeword(folder: Path) -> bool:
    """Whether a folder holds a wake word."""
    return (folder / WAKE_WORD.card).is_file()
