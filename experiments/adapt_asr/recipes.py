"""How the recognition experiments train and test: numbers only, so that --help is quick."""

from typing import NamedTuple

from jaxmeta.recognition.meta_training import MetaTraining


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
    meta: MetaTraining
    padded: int
    """Lengths that the speakers of testing are padded to, each a program that takes as long to compile as to run."""


PRESETS = {
    "quick": Recipe(
        encoder="gru", width=72, depth=2, dropout=0.0,
        wide_updates=0, updates=600, rate=3e-3, frames=8_000, longest=400,
        meta=MetaTraining(
            updates=30, rate=3e-4, tasks=4, support=5, query=5, steps=3, inner_rate=0.1, longest=300
        ),
        padded=1,
    ),
    "full": Recipe(
        encoder="gru", width=136, depth=3, dropout=0.1,
        wide_updates=2_000, updates=3_000, rate=3e-3, frames=12_000, longest=800,
        meta=MetaTraining(
            updates=150, rate=3e-4, tasks=4, support=5, query=5, steps=3, inner_rate=0.03, longest=500
        ),
        padded=2,
    ),
}  # fmt: skip
WIDE = ("encoder", "width", "depth", "dropout", "wide_updates", "rate", "frames", "longest")
"""What of a recipe decides the weights of the wide stage."""
PLAIN = (*WIDE, "updates")
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
    "CER against fine-tuning": "", "against another's utterances": "",
}  # fmt: skip
SAFETY_COLUMNS = {
    "method": "", "shots": "d", "adapted": "d", "speakers": "d", "CER behind the gate": "",
    "CER of source speakers": ".1f", "its change": "",
}  # fmt: skip
SEARCH_COLUMNS = {
    "greedy": ".1f", "searched": ".1f", "change": "+.1f", "change_low": "+.1f", "change_high": "+.1f",
}  # fmt: skip
"""Word error rates on validation speakers, in percent."""
