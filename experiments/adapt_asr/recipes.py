"""How the recognition experiments train and test: numbers only, so that --help is quick."""

from typing import NamedTuple


class Recipe(NamedTuple):
    """How a preset trains."""

    encoder: str
    width: int
    depth: int
    dropout: float
    wide_updates: int
    """Of plain training on other speech too, before."""
    updates: int
    """Of plain training."""
    rate: float
    frames: int
    """In a batch of plain training, with padding."""
    longest: int
    """Frames above which an utterance is left out of plain training."""
    meta_updates: int
    meta_rate: float
    tasks: int
    support: int
    query: int
    steps: int
    """Inner steps of meta-training."""
    inner_rate: float
    meta_longest: int
    """Frames above which an utterance is left out of meta-training, whose tasks are all padded to that."""
    padded: int
    """Lengths that the speakers of testing are padded to, each a program that takes as long to compile as to run."""


PRESETS = {
    "quick": Recipe("gru", 72, 2, 0.0, 0, 600, 3e-3, 8_000, 400, 30, 3e-4, 4, 5, 5, 3, 0.1, 300, 1),
    "full": Recipe("gru", 136, 3, 0.1, 2_000, 3_000, 3e-3, 12_000, 800, 150, 3e-4, 4, 5, 5, 3, 0.03, 500, 2),
}


PLAIN = ("encoder", "width", "depth", "dropout", "wide_updates", "updates", "rate", "frames", "longest")
"""What of a recipe decides the plainly trained weights."""
QUICK_METHODS = ("fine-tune all", "maml", "test time")
TABLE_SHOTS = (1, 2, 5, 10)
STEPS = (1, 2, 5, 10, 20)
CHOSEN_STEPS = 5
"""Inner steps with which rates are chosen."""
CHOSEN_SHOTS = 5
"""Utterances at which rates and steps are chosen, and at which the curve of steps is drawn."""
COLUMNS = {
    "method": "", "shots": "d", "rate": "g", "steps": "d", "CER": "", "WER": "", "less CER than before": "",
    "CER against fine-tuning": "",
}  # fmt: skip
SAFETY_COLUMNS = {
    "method": "", "shots": "d", "adapted": "d", "speakers": "d", "CER behind the gate": "",
    "CER of source speakers": ".1f", "its change": "",
}  # fmt: skip
SEARCH_COLUMNS = {
    "greedy": ".1f", "searched": ".1f", "change": "+.1f", "change_low": "+.1f", "change_high": "+.1f",
}  # fmt: skip
"""Word error rates on validation speakers, in percent."""
