"""What a public Whisper learns of a voice: low-rank adapters of its decoder, in a folder of some kilobytes."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxmeta.bundle import BundleKind, open_bundle, save_bundle
from jaxmeta.models.low_rank import merged, with_adapters
from jaxmeta.models.pretrained.whispers.stacked import with_stacked_adapters
from jaxmeta.recognition.pretrained.bases import base_folder
from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser, in_bits, load_whisper
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
    """False where the gain was uncertain, so that the adapters change nothing."""
    origin: dict[str, Any] = field(default_factory=dict)
    """How it was made: steps, rate, seed, recordings."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank={self.rank} must be 1 or more.")


def is_adapted(path: str) -> bool:
    """Whether the matrix at a path of Whisper's params gets an adapter: queries and outputs of the decoder's attention.

    What is below them, the whole encoder, need run once only for each recording.

    >>> is_adapted("decoder/layers_0/self_attn/q_proj/kernel"), is_adapted("encoder/layers_0/self_attn/q_proj/kernel")
    (True, False)
    """
    return path.startswith("decoder/") and path.endswith(("q_proj/kernel", "out_proj/kernel"))


def new_adapters(params: PyTree, rank: int, key: Key) -> PyTree:
    """Adapters in float32 that change nothing yet: their products are zero."""
    adapters = with_adapters(params, rank, is_adapted, key)["adapters"]
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), adapters)


def with_whisper_adapters(recogniser: WhisperRecogniser, adapters: PyTree) -> WhisperRecogniser:
    """The recogniser with adapters added to its matrices, which have float32 then; all others are shared.

    Of weights in fewer bits the adapters stay apart, in float32, and are added where a layer is restored.
    """
    return replace(recogniser, params=joining(recogniser)(recogniser.params, adapters))


def joining(recogniser: WhisperRecogniser) -> Callable[[PyTree, PyTree], PyTree]:
    """What makes params of a recogniser's network of its own params and adapters."""
    return _merged if recogniser.bits is None else with_stacked_adapters


def _merged(params: PyTree, adapters: PyTree) -> PyTree:
    return merged({"weights": params, "adapters": adapters})


def save_adapter(folder: str | Path, card: AdapterCard, adapters: PyTree) -> Path:
    """Write the adapters and their card; raises as `save_bundle` does."""
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
    card: AdapterCard
    place: Path
    """Folder of the base."""


def read_adapted(folder: str | Path, base: str | Path | None = None) -> ReadAdapters:
    """A Whisper and the adapters of a folder beside it; arguments and errors are those of `load_adapted`."""
    bundle = open_bundle(folder, WHISPER_ADAPTER, AdapterCard)
    card = bundle.card
    bundle.check_size(bundle.place.at("rank"), card.rank)
    place = base_folder(folder, card.base, card.base_sha256, base)
    recogniser = load_whisper(place)
    shapes = jax.eval_shape(lambda params: new_adapters(params, card.rank, jax.random.key(0)), recogniser.params)
    return ReadAdapters(recogniser, bundle.weights(shapes), card, place)
