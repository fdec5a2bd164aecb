"""A recogniser: its weights and all that is needed to use them, kept as a folder that checks itself."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

import jax

from jaxmeta.bundle import Bundle, BundleKind, open_bundle, save_bundle
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.vocabulary import Vocabulary, load_vocabulary
from jaxmeta.files.cards import build
from jaxmeta.models.acoustic import SIZES, SUBSAMPLING, Encoder, Size, recogniser
from jaxmeta.models.layers import speech_form
from jaxmeta.recognition.adaptation import Adaptation
from jaxmeta.types import Model, PyTree

VOCABULARY = "vocabulary.json"
RECOGNISER = BundleKind(
    "recogniser", "card.json", 2, (VOCABULARY,),
    "give a folder that `jaxmeta train recogniser` or `jaxmeta adapt` of this version wrote",
)  # fmt: skip
Builder = Callable[..., Model]
"""(classes, **options of the card) -> Model of Ragged log-mels to Ragged logits of so many classes, without state."""
NO_BUILDERS: Mapping[str, Builder] = MappingProxyType({})


@dataclass(frozen=True)
class RecogniserCard:
    """What a recogniser is, besides its weights and its vocabulary. Raises ValueError for numbers out of range."""

    builder: str
    """What makes the network: a name of `models.acoustic.SIZES`, or one that the caller has a function for."""
    options: dict[str, Any]
    """Of the builder; those of the library's networks are the fields of `AcousticOptions`."""
    features: FeatureConfig
    subsampling: int = SUBSAMPLING
    """Frames of the features to one of the logits; a part of them gives one more."""
    longest: int | None = None
    """Frames that the network takes at once; None: any number."""
    adaptation: Adaptation = "all"
    """What adapts to a voice."""
    rate: float = 0.1
    """Of the steps of adaptation, 0 or more."""
    steps: int = 5
    """0 or more."""
    case: Literal["as it is", "upper", "lower"] = "as it is"
    """What transcripts are folded to before they are spelled."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: commit, seed, data, command."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate >= 0):
            raise ValueError(f"rate={self.rate} must be a finite number of 0 or more.")
        ranges = (("steps", 0, 100_000), ("subsampling", 1, 1_000), ("longest", 100, 10**9))
        for name, least, most in ranges:
            if (value := getattr(self, name)) is not None and not least <= value <= most:
                raise ValueError(f"{name}={value} must lie between {least} and {most:,}.")

    def output_lengths(self, lengths: Any) -> Any:
        """Frames of the logits for frames of the features, numbers or arrays; no transcript may need more."""
        return -(-lengths // self.subsampling)


@dataclass(frozen=True)
class AcousticOptions:
    """Of the library's networks. Raises ValueError where a number is out of range."""

    width: int
    depth: int
    widths: dict[str, int] = field(default_factory=dict)
    """What pruning left of some layers, as `compress.channels.shrink` says."""

    def __post_init__(self) -> None:
        for name, value in {"width": self.width, "depth": self.depth, **self.widths}.items():
            if value < 1:
                raise ValueError(f"{name}={value} must be 1 or more.")
        if self.depth > 100:
            raise ValueError(f"depth={self.depth} must be at most 100.")


class Recogniser(NamedTuple):
    """A network, what its classes mean, and its weights."""

    card: RecogniserCard
    vocabulary: Vocabulary
    params: PyTree
    builder: Builder | None = None
    """Makes the network where the library has none of the card's name."""

    @property
    def model(self) -> Model:
        """Model of Ragged log-mels to Ragged logits; no state."""
        return network(self.card, self.vocabulary, self.builder)

    def save(self, folder: Path, origin: dict[str, Any]) -> None:
        """Write it with a card that says how it was made; raises as `save_recogniser` does."""
        save_recogniser(folder, self._replace(card=dataclasses.replace(self.card, origin=origin)))

    def fold(self, text: str) -> str:
        """The text in the case that the vocabulary has."""
        return {"upper": str.upper, "lower": str.lower}.get(self.card.case, str)(text)


def network(card: RecogniserCard, vocabulary: Vocabulary, builder: Builder | None = None) -> Model:
    """The model that a card describes.

    Raises:
      ValueError: no builder is given, and the library has none of the card's name.
    """
    if builder is not None:
        return builder(vocabulary.size, **card.options)
    if card.builder not in SIZES:
        raise ValueError(f"builder={card.builder!r} is not one of {', '.join(SIZES)}; give the function that it names.")
    options = AcousticOptions(**card.options)
    size = Size(options.width, options.depth)
    return recogniser(vocabulary.size, cast(Encoder, card.builder), size, widths=options.widths)


def save_recogniser(folder: str | Path, recogniser: Recogniser) -> Path:
    """Write the recogniser into a folder, made if missing; the card last, so that a folder with one is whole.

    Raises:
      ValueError: weights that are not finite; nothing is written.
      OSError: it could not be written.
    """
    files = {VOCABULARY: recogniser.vocabulary.save}
    return save_bundle(folder, RECOGNISER, dataclasses.asdict(recogniser.card), recogniser.params, files)


def load_recogniser(folder: str | Path, builders: Mapping[str, Builder] = NO_BUILDERS) -> Recogniser:
    """Read what `save_recogniser` wrote.

    Args:
      folder: as written.
      builders: name -> function, for recognisers whose network is not the library's. No code is read from the folder.
    Raises:
      CardError, BundleError: there is none, it is damaged, its parts do not fit each other, or its builder is unknown.
      ValueError: a builder is called like a network of the library.
    """
    if taken := sorted(builders.keys() & SIZES.keys()):
        raise ValueError(f"builders has {taken[0]!r}, which is a network of the library; call yours something else.")
    bundle = open_bundle(folder, RECOGNISER, RecogniserCard)
    card, builder = bundle.card, builders.get(bundle.card.builder)
    _check_options(bundle, builder)
    vocabulary = load_vocabulary(bundle.folder / VOCABULARY)
    try:
        model = network(card, vocabulary, builder)
        shapes = _shapes(model, card, vocabulary)
    except ValueError as error:
        raise bundle.place.at("options").error(f"describe no network: {str(error).splitlines()[0]}") from error
    return Recogniser(card, vocabulary, bundle.weights(shapes), builder)


def _check_options(bundle: Bundle[RecogniserCard], builder: Builder | None) -> None:
    """Refuse sizes that cannot be those of the weights, before a network of such a size is looked at."""
    card, place = bundle.card, bundle.place
    if builder is not None:
        return
    if card.builder not in SIZES:
        raise place.at("builder").wrong(
            card.builder, f"one of {', '.join(SIZES)}, or a name in builders of load_recogniser(folder, builders)"
        )
    options = build(AcousticOptions, {"widths": {}} | card.options, place.at("options"))
    bundle.check_size(place.at("options.width"), options.width)
    for name, value in options.widths.items():
        bundle.check_size(place.at("options.widths").at(name), value)
    if options.depth > len(bundle.forms):
        raise place.at("options.depth").wrong(options.depth, f"at most {len(bundle.forms)}, the number of arrays")
    if card.subsampling != SUBSAMPLING:
        raise place.at("subsampling").wrong(card.subsampling, f"{SUBSAMPLING} for this network")


def _shapes(model: Model, card: RecogniserCard, vocabulary: Vocabulary) -> PyTree:
    """The form of the weights; checks that of the logits. Computes and allocates nothing."""
    frames = 8 * card.subsampling
    speech = speech_form(1, frames, card.features.size)
    key = jax.random.key(0)
    params, state = jax.eval_shape(model.init, key, speech)
    if jax.tree.leaves(state):
        raise ValueError("the network has a state, such as statistics of batches; use one that has none.")
    logits, _ = jax.eval_shape(lambda params, speech: model.apply(params, {}, speech, key, False), params, speech)
    if logits.values.shape != (1, 8, vocabulary.size):
        raise ValueError(
            f"{frames} frames become logits of shape {logits.values.shape} instead of (1, 8, {vocabulary.size}); "
            f"say in subsampling how many frames become one (it is {card.subsampling})."
        )
    return params
