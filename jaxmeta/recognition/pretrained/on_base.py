"""Recognisers with a CTC head on a public encoder: what their folder says of the base, and how they are loaded.

A folder holds what learnt, some megabytes at most: the head, and low-rank adapters of the encoder's uppermost layers.
The base lies elsewhere; its SHA-256 is in the card.
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp

from jaxmeta.bundle import open_bundle
from jaxmeta.files.cards import build
from jaxmeta.learners.learned_rates import Rates, with_rates
from jaxmeta.models.acoustic import Encoder, Size
from jaxmeta.models.pretrained.adapted import adapted, ctc_head
from jaxmeta.recognition.pretrained.bases import base_folder
from jaxmeta.recognition.pretrained.encoder import PublicEncoder, read_encoder
from jaxmeta.recognition.recogniser import RECOGNISER, Recogniser, RecogniserCard, load_recogniser
from jaxmeta.recognition.safe_adaptation import VoiceAdaptation, adapt_to_voice
from jaxmeta.recognition.voice import VoiceRecordings
from jaxmeta.types import Model, PyTree, Ragged

BUILDER = "public encoder"
"""Builder in the card of a recogniser on a base."""


@dataclass(frozen=True)
class BaseOptions:
    """The builder's options in a card. Raises ValueError for numbers out of range."""

    base: str
    """Folder of the public network when the recogniser was trained."""
    base_sha256: str
    """Of its files, as `base_hash` computes it."""
    layers: int
    """Uppermost layers of the encoder with adapters; 0: the encoder stays as it is."""
    rank: int
    """Of the adapters; 0 without them."""
    kind: Encoder
    """Of the head's layers, as `acoustic_encoder` takes it."""
    width: int
    """Of the head."""
    depth: int
    rates: Rates = "none"
    """Whether meta-learned rates of adaptation are among the params: one for each "layer" or each "weight"."""

    def __post_init__(self) -> None:
        for name, least, most in (("layers", 0, 1_000), ("rank", 0, 100_000), ("width", 1, 100_000), ("depth", 0, 100)):
            if not least <= (value := getattr(self, name)) <= most:
                raise ValueError(f"{name}={value} must lie between {least} and {most:,}.")
        if (self.layers == 0) != (self.rank == 0):
            raise ValueError(f"layers={self.layers} and rank={self.rank} must both be 0, or none.")


@dataclass(frozen=True, eq=False)
class OnEncoder:
    """Builder of the whole network, from the features of recordings; params are {"head", "adapters"}."""

    encoder: PublicEncoder
    dropout: float = 0.0

    def __call__(self, classes: int, **options: Any) -> Model:
        """The network that a card describes."""
        lower, _ = self.encoder.split(BaseOptions(**options).layers)
        return chained(lower, self.encoder.params, self.above(classes, **options))

    def above(self, classes: int, **options: Any) -> Model:
        """The part of it that learns, from the activations of the part below; params are those of the whole."""
        given = BaseOptions(**options)
        _, upper = self.encoder.split(given.layers)
        head = ctc_head(classes, given.kind, Size(given.width, given.depth), self.dropout)
        return with_rates(adapted(upper, self.encoder.params, head, given.rank), given.rates)


class Parts(NamedTuple):
    """A recogniser on a base, in two."""

    lower: Callable[[Ragged], Ragged]
    """The frozen part: features [N, T, F] to activations [N, T', D]. It need run once only for each recording."""
    upper: Recogniser
    """The part that learns, a recogniser of activations with the params and the card of the whole."""


def chained(lower: Model, base: PyTree, upper: Model) -> Model:
    """A model on what a frozen one gives; params are those of the upper one."""

    def activations(inputs, key):
        return lower.apply(base, {}, inputs, key, False)[0]

    return Model(
        lambda key, inputs: upper.init(key, activations(inputs, key)),
        lambda params, state, inputs, key, train: upper.apply(params, state, activations(inputs, key), key, train),
    )


def describes_base(folder: str | Path) -> bool:
    """Whether a folder has the card of a recogniser on a base."""
    try:
        content = json.loads((Path(folder) / RECOGNISER.card).read_bytes())
    except (OSError, ValueError):
        return False  # Whoever reads the card will say what is wrong.
    return isinstance(content, dict) and content.get("builder") == BUILDER


def load_on_base(folder: str | Path, base: str | Path | None = None) -> tuple[Recogniser, PublicEncoder]:
    """A recogniser and its public encoder.

    Args:
      folder: that `save_recogniser` wrote.
      base: folder of the public network; None: where it was in training.
    Raises:
      CardError, BundleError: the folder is damaged, or the base is not there or another.
      ValueError, OSError: as `read_encoder`.
    """
    bundle = open_bundle(folder, RECOGNISER, RecogniserCard)
    if bundle.card.builder != BUILDER:
        raise bundle.place.at("builder").wrong(bundle.card.builder, f"{BUILDER!r}, for it has no base")
    options = build(BaseOptions, {"rates": "none"} | bundle.card.options, bundle.place.at("options"))
    for name in ("rank", "width"):
        bundle.check_size(bundle.place.at("options").at(name), getattr(options, name))
    place = base_folder(folder, options.base, options.base_sha256, base)
    encoder = read_encoder(place)
    recogniser = load_recogniser(folder, {BUILDER: OnEncoder(encoder)})
    # What is adapted from it is written with the place where the base is now.
    card = replace(recogniser.card, options=recogniser.card.options | {"base": str(place.absolute())})
    return recogniser._replace(card=card), encoder


def base_options(encoder: PublicEncoder, folder: Path, layers: int, rank: int, kind: Encoder, size: Size) -> dict:
    """The builder's options of a new recogniser on an encoder that was read from a folder."""
    layers = layers if rank else 0
    options = BaseOptions(str(folder.absolute()), encoder.sha256, layers, rank if layers else 0, kind, *size)
    return dataclasses.asdict(options)


def load_any_recogniser(folder: str | Path, base: str | Path | None = None) -> Recogniser:
    """A recogniser on a base, or with a network of the library's.

    Raises: as `load_on_base` and `load_recogniser`; ValueError where a base is given and none is needed.
    """
    if describes_base(folder):
        return load_on_base(folder, base)[0]
    if base is not None:
        raise ValueError(f"--base {base} cannot be used with {folder}, which needs none.")
    return load_recogniser(folder)


def parts(recogniser: Recogniser) -> Parts:
    """The frozen part of a recogniser on a base, and the part that learns. Raises ValueError for another recogniser."""
    builder = recogniser.builder
    if not isinstance(builder, OnEncoder):
        raise ValueError(f"a recogniser with the builder {recogniser.card.builder!r} has no frozen part.")
    model, _ = builder.encoder.split(recogniser.card.options["layers"])
    apply = jax.jit(lambda params, speech: model.apply(params, {}, speech, jax.random.key(0), False)[0])
    return Parts(partial(apply, builder.encoder.params), recogniser._replace(builder=builder.above))


def adapt_any_to_voice(recogniser: Recogniser, voice: VoiceRecordings, **options: Any) -> VoiceAdaptation[Recogniser]:
    """As `adapt_to_voice`; what is frozen of a recogniser on a base runs once for each recording."""
    if not isinstance(recogniser.builder, OnEncoder):
        return adapt_to_voice(recogniser, voice, **options)
    lower, upper = parts(recogniser)
    speech = voice.batch.inputs
    rows = (Ragged(speech.values[[row]], speech.lengths[[row]]) for row in range(len(voice.texts)))
    values, lengths = zip(*map(lower, rows), strict=True)
    activations = Ragged(jnp.concatenate(values), jnp.concatenate(lengths))
    result = adapt_to_voice(upper, voice._replace(batch=voice.batch._replace(inputs=activations)), **options)
    return result._replace(adapted=result.adapted._replace(builder=recogniser.builder))
