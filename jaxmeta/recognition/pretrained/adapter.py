"""What a public Whisper learns of a voice: low-rank adapters of its decoder, in a folder of some kilobytes."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxmeta.bundle import BundleKind, open_bundle, save_bundle
from jaxmeta.files.cards import OPTIONAL
from jaxmeta.learners.learned_rates import without_rates
from jaxmeta.models.low_rank import merged, with_adapters
from jaxmeta.models.pretrained.whisper import WhisperConfig
from jaxmeta.models.pretrained.whispers.stacked import with_stacked_adapters
from jaxmeta.models.pretrained.whispers.taught import taught_adapters
from jaxmeta.recognition.pretrained.bases import base_folder
from jaxmeta.recognition.pretrained.decoder.start import LearnedStart, adapting, is_adapted, with_start_rates
from jaxmeta.recognition.pretrained.whisper import Case, Habits, WhisperRecogniser, in_bits, load_whisper
from jaxmeta.types import Key, PyTree

WHISPER_ADAPTER = BundleKind(
    "whisper adapter", "card.json", 1, (),
    "give a folder that `jaxmeta adapt WHISPER_FOLDER` of this version wrote",
)  # fmt: skip


@dataclass(frozen=True)
class AdapterCard:
    """What an adapter belongs to. Raises ValueError for numbers out of range."""

    base: str
    """Folder of the Whisper when it was adapted."""
    base_sha256: str
    """Of its files, as `base_hash` computes it."""
    rank: int
    """Of the adapters, 1 or more."""
    language: str
    """ISO 639-1 code of the transcripts."""
    adapted: bool
    """False where the gain of adaptation to a voice was uncertain, so that the adapters are as they were before."""
    matrices: Literal["attention", "layers"] = "attention"
    """Those with adapters: queries and outputs of the decoder's attention, or all in the layers of the decoder and in
    the uppermost ones of the encoder."""
    layers: int = 0
    """Those uppermost ones."""
    silence: float | None = None
    """The habits of the adapted Whisper, as `Habits` has them."""
    longest: float | None = None
    case: Case = "as it is"
    origin: dict[str, Any] = field(default_factory=dict)
    """How it was made: steps, rate, seed, recordings."""
    start: LearnedStart | None = field(default=None, metadata=OPTIONAL)
    """How the adapters adapt further, where they are a meta-learned start."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank={self.rank} must be 1 or more.")
        if not 0 <= self.layers <= 1_000 * (self.matrices == "layers"):
            raise ValueError(f"layers={self.layers} must be 0, or at most 1,000 where matrices is 'layers'.")
        for name, least, most in (("silence", 0.0, 30.0), ("longest", 0.1, 30.0)):
            if (value := getattr(self, name)) is not None and not least <= value <= most:
                raise ValueError(f"{name}={value} must lie between {least:g} and {most:g}.")
        if self.start is not None and self.matrices != "layers":
            raise ValueError(f"start={self.start} needs adapters in all layers; matrices is {self.matrices!r}.")

    @property
    def habits(self) -> Habits:
        """Those of the adapted Whisper."""
        return Habits(self.silence, self.longest, self.case)


def new_adapters(params: PyTree, rank: int, key: Key) -> PyTree:
    """Adapters in float32 that change nothing yet: their products are zero."""
    adapters = with_adapters(params, rank, is_adapted, key)["adapters"]
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), adapters)


def with_whisper_adapters(recogniser: WhisperRecogniser, adapters: PyTree) -> WhisperRecogniser:
    """The recogniser with adapters added to its matrices, which have float32 then; all others are shared.

    Of weights in fewer bits the adapters stay apart, in float32, and are added where a layer is restored. Meta-learned
    rates among the adapters are left out.
    """
    return replace(recogniser, params=joining(recogniser)(recogniser.params, without_rates(adapters)))


def joining(recogniser: WhisperRecogniser) -> Callable[[PyTree, PyTree], PyTree]:
    """What makes params of a recogniser's network of its own params and adapters."""
    return _merged if recogniser.bits is None else with_stacked_adapters


def _merged(params: PyTree, adapters: PyTree) -> PyTree:
    return merged({"weights": params, "adapters": adapters})


def save_adapter(folder: str | Path, card: AdapterCard, adapters: PyTree) -> Path:
    """Write the adapters, with meta-learned rates among them, and their card; raises as `save_bundle` does."""
    return save_bundle(folder, WHISPER_ADAPTER, dataclasses.asdict(card), adapters)


def load_adapted(
    folder: str | Path, base: str | Path | None = None, bits: Literal[8, 16] | None = None
) -> tuple[WhisperRecogniser, AdapterCard]:
    """A Whisper with the adapters of a folder.

    Args:
      folder: that `save_adapter` wrote.
      base: folder of the Whisper that was adapted; None: where it was then.
      bits: of the Whisper's weights, as in `in_bits`; None: as they are stored.
    Raises:
      CardError, BundleError: the folder is damaged, or the base is not there or another.
      ValueError, OSError: as `load_whisper` does.
    """
    read = read_adapted(folder, base)
    recogniser = read.recogniser if bits is None else in_bits(read.recogniser, bits)
    return with_whisper_adapters(recogniser, read.adapters), read.card


class ReadAdapters(NamedTuple):
    """What a folder of adapters holds, and the base beside it."""

    recogniser: WhisperRecogniser
    """The base, without them."""
    adapters: PyTree
    """With rates under "rate", where they were meta-learned."""
    card: AdapterCard
    place: Path
    """Folder of the base."""


def read_adapted(folder: str | Path, base: str | Path | None = None) -> ReadAdapters:
    """A Whisper and the adapters of a folder beside it; arguments and errors are those of `load_adapted`."""
    bundle = open_bundle(folder, WHISPER_ADAPTER, AdapterCard)
    card = bundle.card
    bundle.check_size(bundle.place.at("rank"), card.rank)
    place = base_folder(folder, card.base, card.base_sha256, base)
    recogniser = replace(load_whisper(place), habits=card.habits)
    if (of := recogniser.config.encoder_layers) < card.layers:
        raise bundle.place.at("layers").wrong(card.layers, f"at most {of}, the number of the encoder's layers")
    shapes = jax.eval_shape(lambda params: _drawn(params, card, recogniser.config), recogniser.params)
    return ReadAdapters(recogniser, bundle.weights(shapes), card, place)


def _drawn(params: PyTree, card: AdapterCard, config: WhisperConfig) -> PyTree:
    """Adapters of the form that a card describes, and rates where it has some."""
    if card.matrices == "attention":
        return new_adapters(params, card.rank, jax.random.key(0))
    adapters = taught_adapters(params, card.rank, card.layers, config.encoder_layers, jax.random.key(0))
    if card.start is None:
        return adapters
    adapts = adapting(card.start.learner, config.decoder_layers)
    return with_start_rates(adapters, card.start.rates, 0.0, adapts)
