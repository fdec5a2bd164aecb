"""How the noise experiment trains and tests: numbers only, so that --help is quick."""

from typing import NamedTuple

from experiments.adapt_asr.recipes import PRESETS as SPEECH
from experiments.adapt_asr.recipes import Recipe


class Plan(NamedTuple):
    """How a preset of the noise experiment trains, chooses and tests."""

    recipe: Recipe
    speakers: int
    """Test speakers, each of whom is heard in every condition."""
    validation: int
    """Validation speakers, on whom rates and steps are chosen."""
    rates: tuple[float, ...]
    steps: tuple[int, ...]
    """Tried with every rate, for every method alike."""
    methods: tuple[str, ...]
    buckets: int
    """Padded lengths in training, each of which compiles the update again."""


METHODS = ("fine-tune all", "maml", "test time", "test time, each")
PRESETS = {
    "quick": Plan(
        SPEECH["quick"]._replace(updates=500, longest=360, meta=SPEECH["quick"].meta._replace(longest=360)),
        speakers=10, validation=8, rates=(0.01, 0.03, 0.1), steps=(2, 10), methods=METHODS[:3], buckets=2,
    ),
    "full": Plan(
        SPEECH["full"]._replace(wide_updates=0, updates=5_000, rate=3e-3),
        speakers=20, validation=8, rates=(0.003, 0.01, 0.03, 0.1, 0.3), steps=(1, 5, 20), methods=METHODS, buckets=3,
    ),
}  # fmt: skip
SNRS = (20.0, 10.0, 5.0, 0.0)
"""Decibels of signal over noise in the table."""
TUNED = ("seen 10 dB", "seen 0 dB")
"""Conditions in which rates and steps are chosen; types of noise that are unseen stay so."""
SHOTS = 5
"""Transcribed utterances that a speaker gives, in the condition of the test."""
QUERY = 10
"""Utterances of a speaker to recognise."""
COLUMNS = {
    "condition": "", "method": "", "transcribed": "d", "rate": "g", "steps": "d", "CER": "", "WER": "",
    "change of CER": "",
}  # fmt: skip
