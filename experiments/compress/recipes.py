"""Which networks the compression experiment trains, and what it does to them. Imports nothing heavy."""

from typing import NamedTuple

from jaxmeta.recognition import presets as speech
from jaxmeta.words import presets as words

CUT = (0.5, 0.8, 0.9)
"""Sparsity of networks from which weights are cut without training again."""
COLUMNS = {
    "network": "", "compressed": "", "kB": ".1f", "times smaller": ".2f", "before": "", "after": "", "change": "",
    "kB a user": ".1f", "adapted, then compressed": "",
}  # fmt: skip
LATENCY_COLUMNS = {"network": "", "run by": "", "what": "", "median ms": ".2f", "95 % below ms": ".2f", "kB": ".1f"}


class Training(NamedTuple):
    """What is trained again, from the weights of the early stage, or calibrated."""

    sparse: tuple[float, ...] = ()
    """Shares of weights without which a network is."""
    channels: tuple[float, ...] = ()
    """Shares of channels without which a network is."""
    bits: tuple[int, ...] = ()
    """Of weights that a network is trained to be rounded to."""
    calibration: int = 0
    """Recordings that ranges of activations are taken from; 0: from each row when it comes."""


class Speech(NamedTuple):
    """How the recogniser is trained and tested."""

    training: speech.RecogniserPreset
    """On the recordings."""
    early: int
    """Updates before, on the recordings and their transcripts read aloud."""
    lengths: int
    """That speakers of testing are padded to."""


class Plan(NamedTuple):
    """What a preset means."""

    words: words.WordsPreset
    """Of the second stage of training."""
    words_early: int
    """Updates of the first stage, whose end pruned networks go back to."""
    words_again: Training
    speech: Speech
    speech_again: Training


PLANS = {
    "quick": Plan(
        words.PRESETS["quick"]["protonet"]._replace(updates=250, batches=((5, 3, 1),)), 60, Training((0.8,)),
        Speech(speech.RecogniserPreset("gru", "tiny", 320, 3e-3, 8_000, 400, 0.0), 0, 1), Training(),
    ),
    "full": Plan(
        words.PRESETS["full"]["protonet"]._replace(updates=4_500), 500, Training((0.8,), (0.5,), (4,), 200),
        Speech(speech.RecogniserPreset("gru", "small", 3_000, 3e-3, 12_000, 800, 0.1), 2_000, 2),
        Training((0.8,), (0.5,), (), 64),
    ),
}  # fmt: skip
UTTERANCES = 5
"""That recognisers adapt to."""
