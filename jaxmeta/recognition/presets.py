"""How a recogniser is trained and meta-trained: numbers only, so that --help is quick."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar

Preset = TypeVar("Preset", bound=Any)


class RecogniserPreset(NamedTuple):
    """A network, and how long it is trained."""

    encoder: Literal["dnn", "gru", "lstm", "conformer"]
    """A name of `models.acoustic.SIZES`."""
    size: Literal["tiny", "small", "base", "large"]
    updates: int
    rate: float
    """Peak, of the outer optimizer."""
    frames_per_batch: int
    """With padding; 100 frames are a second."""
    max_frames: int
    """Longer utterances are left out."""
    dropout: float


class MetaTraining(NamedTuple):
    """How a recogniser's weights are meta-trained."""

    updates: int
    rate: float
    """Peak, of the outer optimizer."""
    tasks: int
    """Of an update."""
    support: int
    query: int
    steps: int
    """Inner ones."""
    inner_rate: float
    longest: int
    """Frames above which an utterance is left out; tasks are padded to that."""

    def decides(self) -> dict[str, Any]:
        """What meta-trained weights depend on, besides those that they started from."""
        return {f"meta_{name}": value for name, value in self._asdict().items()}


class ShiftTraining(NamedTuple):
    """How much speech a map of adaptation takes, and how long to train."""

    updates: int
    """Of a head for sentences on the frozen encoder."""
    word_updates: int
    """Of a head for words."""
    batch: int
    """Utterances."""
    width: int
    """Of the head on sentences; that on words has 96."""
    depth: int
    words: int
    """Utterances of words to train on."""
    training: tuple[int, int]
    """Speakers to train on, and utterances of each."""
    tasks: tuple[int, int]
    """The same for meta-training in channels."""
    speakers: tuple[int, int]
    """Of validation, and of the test."""
    draws: int
    """Support sets of each size for a language."""
    queries: int
    """Utterances of a language to recognise."""
    meta: MetaTraining
    """On sentences."""
    word_meta: MetaTraining
    """On words; tasks are padded to the longest utterance."""
    methods: tuple[str, ...]
    """How starts are meta-learned."""


class LanguageTraining(NamedTuple):
    """How a network is trained on one language, or on several at once, in batches of one shape."""

    updates: int
    rate: float
    """Peak, of the outer optimizer."""
    batch_size: int
    max_frames: int
    """Longer utterances are left out, and all others padded to that; a multiple of 8."""
    stored: int = 0
    """Utterances of each earlier language that replay stores."""
    replayed: int = 0
    """Stored utterances in a batch."""


PRESETS: Mapping[str, RecogniserPreset] = {
    "quick": RecogniserPreset("gru", "tiny", 300, 3e-3, frames_per_batch=6_000, max_frames=1_000, dropout=0.0),
    "full": RecogniserPreset("gru", "small", 3_000, 3e-3, frames_per_batch=12_000, max_frames=1_600, dropout=0.1),
}


def replaced(preset: Preset, **given: Any) -> Preset:
    """A named tuple with these fields instead of its own, but for those that are None."""
    return preset._replace(**{name: value for name, value in given.items() if value is not None})
