"""How a recogniser on a public encoder is trained: numbers only, so that --help is quick."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar

from jaxmeta.recognition.presets import MetaTraining

RecogniserLearner = Literal["maml", "fomaml", "reptile", "anil", "meta_sgd", "layer_rates"]
"""Those whose start a recogniser can hold."""


class Stage(NamedTuple):
    """One of the two stages of training."""

    updates: int
    rate: float
    """Peak, of the outer optimizer."""


class BasePreset(NamedTuple):
    """What learns on a frozen public encoder, and how long."""

    frozen: Stage
    """Of the head alone."""
    adapted: Stage
    """Of the adapters and the head."""
    rank: int
    """Of the adapters; 0: none."""
    layers: int
    """Uppermost layers of the encoder with adapters, at most all."""
    kind: Literal["dnn", "gru", "lstm", "conformer"]
    """Of the head's layers, a name of `models.acoustic.SIZES`."""
    width: int
    """Of the head."""
    depth: int
    dropout: float
    frames_per_batch: int
    """Of the encoder, with padding; 50 frames are a second."""
    max_frames: int
    """Longer utterances are left out."""
    voice_rate: float = 0.01
    """Of the steps of adaptation to a voice."""
    voice_steps: int = 5
    meta: MetaTraining = MetaTraining(100, 3e-4, tasks=2, support=5, query=5, steps=3, inner_rate=0.03, longest=400)
    """With speakers as tasks, for `--learner`; frames are those of the encoder."""


class DecoderPreset(NamedTuple):
    """How a public Whisper's own decoder is trained."""

    frozen: Stage
    """Of the decoder's adapters."""
    adapted: Stage
    """Of these and the encoder's."""
    rank: int
    layers: int
    """Uppermost layers of the encoder with adapters, at most all."""
    frames_per_batch: int
    """Of the encoder, with padding and the silence behind recordings; 50 frames are a second."""
    longest: float
    """Seconds; longer utterances are left out, and longer recordings are recognised in stretches."""
    silence: float = 1.0
    """Seconds of it behind each recording."""
    smoothing: float = 0.1
    """Of labels: the share of the loss that is shared among all tokens."""
    hidden: float = 0.1
    """Share of the tokens before each that the decoder is not shown."""
    meta: MetaTraining = MetaTraining(100, 3e-4, tasks=2, support=5, query=5, steps=3, inner_rate=0.03, longest=400)
    """With speakers as tasks, for `--learner`; frames are those of the encoder, with the silence behind recordings."""


Stages = TypeVar("Stages", BasePreset, DecoderPreset)


def with_updates(preset: Stages, updates: int | None) -> Stages:
    """A preset each of whose stages has so many updates; None: as many as it has."""
    if updates is None:
        return preset
    return preset._replace(
        frozen=preset.frozen._replace(updates=updates),
        adapted=preset.adapted._replace(updates=updates),
        meta=preset.meta._replace(updates=updates),
    )


DECODER_PRESETS: Mapping[str, DecoderPreset] = {
    "quick": DecoderPreset(Stage(250, 2e-3), Stage(100, 1e-3), 16, 2, 4_000, 12.0),
    "full": DecoderPreset(Stage(1_400, 2e-3), Stage(500, 1e-3), 32, 4, 4_000, 12.0),
}
BASE_PRESETS: Mapping[str, BasePreset] = {
    "quick": BasePreset(Stage(300, 2e-3), Stage(300, 1e-3), 16, 2, "conformer", 96, 1, 0.1, 3_000, 800),
    "full": BasePreset(Stage(1_500, 2e-3), Stage(1_250, 1e-3), 32, 2, "conformer", 144, 2, 0.1, 3_000, 800),
}
