"""How the noise experiment trains and tests: numbers only, so that --help is quick."""

from typing import NamedTuple

from experiments.speech_recipes import Recipe


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
    meta_buckets: int
    """The same, in meta-training."""


METHODS = ("fine-tune all", "maml", "test time", "test time, each")
PRESETS = {
    "quick": Plan(
        Recipe("gru", 72, 2, 0.0, 500, 3e-3, 8_000, 360, 30, 3e-4, 4, 5, 5, 3, 0.1),
        speakers=10, validation=8, rates=(0.01, 0.03, 0.1), steps=(2, 10), methods=METHODS[:3],
        buckets=2, meta_buckets=1,
    ),
    "full": Plan(
        Recipe("gru", 136, 3, 0.1, 5_000, 3e-3, 12_000, 1_000, 100, 3e-4, 4, 5, 5, 3, 0.1),
        speakers=20, validation=8, rates=(0.01, 0.03, 0.1, 0.3, 1.0), steps=(1, 5, 10), methods=METHODS,
        buckets=3, meta_buckets=2,
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
