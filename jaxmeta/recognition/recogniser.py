"""A recogniser: its weights and all that is needed to use them, kept as a folder that names and checks its parts."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.vocabulary import Vocabulary, load_vocabulary
from jaxmeta.durable import write_json
from jaxmeta.models.acoustic import Encoder, Size, recogniser
from jaxmeta.training.checkpoint import CheckpointError
from jaxmeta.training.weights import load_weights, save_weights
from jaxmeta.types import Model, PyTree, Ragged

FORMAT = 1
CARD, VOCABULARY, WEIGHTS = "card.json", "vocabulary.json", "weights"


@dataclass(frozen=True)
class Card:
    """What a recogniser is, besides its weights and its vocabulary."""

    encoder: Encoder
    size: Size
    features: FeatureConfig
    adaptation: str = "all"
    """What adapts: a name of `adaptation.METHODS`."""
    rate: float = 0.1
    """Of the steps of adaptation."""
    steps: int = 5
    case: str = "as it is"
    """"upper" or "lower" where transcripts are folded so before they are spelled."""
    widths: dict[str, int] = field(default_factory=dict)
    """What pruning left of some layers, as `compress.channels.shrink` says."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: commit, seed, data, command."""


class Recogniser(NamedTuple):
    """A network, what its classes mean, and its weights."""

    card: Card
    vocabulary: Vocabulary
    params: PyTree

    @property
    def model(self) -> Model:
        """Model of Ragged log-mels to Ragged logits; no state."""
        return network(self.card, self.vocabulary)

    def fold(self, text: str) -> str:
        """The text in the case that the vocabulary has."""
        return {"upper": str.upper, "lower": str.lower}.get(self.card.case, str)(text)


class RecogniserError(ValueError):
    """A folder holds no recogniser, a damaged one, or one of another version; the message says what to do."""


def network(card: Card, vocabulary: Vocabulary) -> Model:
    """The model that a card describes."""
    return recogniser(vocabulary.size, card.encoder, card.size, widths=card.widths)


def save_recogniser(folder: str | Path, one: Recogniser) -> Path:
    """Write the recogniser into a folder, made if missing; the card last, so that a folder with one is whole.

    Raises:
      OSError: it could not be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    one.vocabulary.save(folder / VOCABULARY)
    save_weights(folder / WEIGHTS, one.params)
    kind = {"format": FORMAT, "kind": "ctc recogniser", "vocabulary": _digest(folder / VOCABULARY)}
    write_json(folder / CARD, kind | dataclasses.asdict(one.card))
    return folder


def load_recogniser(folder: str | Path) -> Recogniser:
    """Read what `save_recogniser` wrote.

    Raises:
      RecogniserError: there is none, it is damaged, or its parts do not fit each other.
    """
    folder = Path(folder)
    (card, digest), vocabulary = _read_card(folder), load_vocabulary(folder / VOCABULARY)
    if digest != _digest(folder / VOCABULARY):
        raise RecogniserError(f"{folder / VOCABULARY}: is not the vocabulary that the weights were trained with.")
    inputs = Ragged(jnp.zeros((1, 8, card.features.size)), jnp.full(1, 8, jnp.int32))
    shapes, _ = jax.eval_shape(network(card, vocabulary).init, jax.random.key(0), inputs)
    try:
        params = load_weights(folder / WEIGHTS, shapes)
    except CheckpointError as error:
        raise RecogniserError(
            f"{folder}: the weights are missing, damaged, or do not fit {CARD} and {VOCABULARY}: {error}"
        ) from error
    return Recogniser(card, vocabulary, params)


def _read_card(folder: Path) -> tuple[Card, str]:
    """The card, and the hash of the vocabulary that belongs to it."""
    path = folder / CARD
    if not path.is_file():
        raise RecogniserError(
            f"{folder}: no recogniser ({CARD} is missing); give a folder that training or `jaxmeta adapt` wrote."
        )
    try:
        read = json.loads(path.read_bytes())
        kind, version = read.pop("kind"), read.pop("format")
        if kind != "ctc recogniser" or version != FORMAT:
            raise RecogniserError(
                f"{path}: is a {kind!r} of format {version}; this version reads a 'ctc recogniser' of {FORMAT}."
            )
        size, features = Size(*read.pop("size")), FeatureConfig(**read.pop("features"))
        digest = read.pop("vocabulary")
        return Card(size=size, features=features, **read), digest
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecogniserError(f"{path}: not a recogniser's card ({error!r}); copy it again.") from error


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
