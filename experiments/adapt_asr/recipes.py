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
    "quick": Recipe(
        encoder="gru", width=72, depth=2, dropout=0.0,
        wide_updates=0, updates=600, rate=3e-3, frames=8_000, longest=400,
        meta_updates=30, meta_rate=3e-4, tasks=4, support=5, query=5, steps=3, inner_rate=0.1, meta_longest=300,
        padded=1,
    ),
    "full": Recipe(
        encoder="gru", width=136, depth=3, dropout=0.1,
        wide_updates=2_000, updates=3_000, rate=3e-3, frames=12_000, longest=800,
        meta_updates=150, meta_rate=3e-4, tasks=4, support=5, query=5, steps=3, inner_rate=0.03, meta_longest=500,
        padded=2,
    ),
}  # fmt: skip
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
