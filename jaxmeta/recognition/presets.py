"""How a recogniser is trained from random weights: numbers only, so that --help is quick."""

from collections.abc import Mapping
from typing import Literal, NamedTuple


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


PRESETS: Mapping[str, RecogniserPreset] = {
    "quick": RecogniserPreset("gru", "tiny", 300, 3e-3, frames_per_batch=6_000, max_frames=1_000, dropout=0.0),
    "full": RecogniserPreset("gru", "small", 3_000, 3e-3, frames_per_batch=12_000, max_frames=1_600, dropout=0.1),
}
