"""How the experiment on languages trains and tests: numbers only, so that --help is quick."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from jaxmeta.recognition.presets import MetaTraining

Target = Literal["transcription", "translation"]
Preset = Literal["quick", "full"]


class Recipe(NamedTuple):
    """How a preset trains and tests a target."""

    voices: int
    """Artificial speakers that say each phrase, where speech is synthesised."""
    encoder: Literal["dnn", "gru", "lstm", "conformer"]
    width: int
    depth: int
    dropout: float
    updates: int
    """Of plain training on the languages of pretraining."""
    rate: float
    size: int
    """Utterances of a batch."""
    longest: int
    """Frames of an utterance; longer ones are left out."""
    meta: MetaTraining
    rates: tuple[float, ...]
    """To choose from on the validation language, with the numbers of inner steps."""
    tuned_steps: tuple[int, ...]
    draws: int
    """Support sets of each size for a language."""
    queries: int
    """Test utterances of a language."""
    language_updates: int
    """Of each language in the sequence."""
    stored: int
    """Utterances that replay keeps of each language."""
    replayed: int
    """Of them, in a batch."""


_QUICK = Recipe(
    voices=2, encoder="gru", width=72, depth=2, dropout=0.0, updates=900, rate=5e-3, size=32, longest=240,
    meta=MetaTraining(
        updates=40, rate=5e-4, tasks=4, support=10, query=10, steps=3, inner_rate=3e-3, longest=240
    ),
    rates=(3e-3, 1e-2), tuned_steps=(20,), draws=2, queries=60,
    language_updates=150, stored=20, replayed=8,
)  # fmt: skip
_FULL = _QUICK._replace(
    width=112, dropout=0.1, updates=4_000, rate=3e-3, longest=400, draws=3,
    meta=_QUICK.meta._replace(updates=400, support=20, steps=5, longest=400),
    rates=(1e-3, 3e-3, 1e-2), tuned_steps=(30,), queries=200, language_updates=500, stored=50,
)  # fmt: skip
PRESETS: Mapping[tuple[Target, Preset], Recipe] = {
    ("transcription", "quick"): _QUICK,
    ("transcription", "full"): _FULL,
    ("translation", "quick"): _QUICK._replace(updates=2_000),
    ("translation", "full"): _FULL._replace(
        voices=6, longest=240, updates=8_000, meta=_FULL.meta._replace(longest=240)
    ),
}

SHOTS = (5, 10, 20)
CHOSEN_SHOTS = 10
"""Utterances at which rates and steps are chosen."""
BEAM = 4
LONGEST_TRANSLATION = 12
"""Words."""
FEW_SHOT_COLUMNS = {
    "language": "", "utterances": "d", "method": "", "rate": "g", "steps": "d", "error": ".1f", "low": ".1f",
    "high": ".1f", "exact": ".1f", "against": "+.1f", "against_low": "+.1f", "against_high": "+.1f",
}  # fmt: skip
TRANSFER_COLUMNS = {
    "method": "", "language": "", "scratch": ".1f", "learnt": ".1f", "forward": "+.1f", "forward_low": "+.1f",
    "forward_high": "+.1f", "backward": "+.1f", "backward_low": "+.1f", "backward_high": "+.1f",
}  # fmt: skip
