"""What an assistant is in use: its gate, what it adapts to, the open set that it meets, and its false alarms."""

from pathlib import Path

import numpy as np

from experiments.verify_and_recognise.data import Spoken
from experiments.verify_and_recognise.gating import EPISODES, gated_adaptation, gated_use
from experiments.verify_and_recognise.keywords import Background, false_alarms, open_set
from experiments.verify_and_recognise.report import ALARMS, OPEN_SET, SPOTTING, STREAM, USE, Table
from jaxmeta.progress import progress_bar
from jaxmeta.training.report import plot_curves
from jaxmeta.verification.assistant import Assistant
from jaxmeta.verification.building import EmbeddedRecordings, embedded
from jaxmeta.verification.gate import Gate
from jaxmeta.verification.training import TrainedNetwork
from jaxmeta.verification.voices import Voices


def used(
    one: Assistant, fused: TrainedNetwork, voices: Voices, data: Spoken, gate: Gate, seed: int, workdir: Path
) -> list[Table]:
    """Tables of `EPISODES` users of each corpus of words; a plot of misses against false alarms is drawn."""
    background = Background(one, data.background)
    use, streams, sets, spotting, curves = [], [], [], [], {}
    with progress_bar("users", 4 * len(data.new_words)) as advance:
        for name, corpus in data.new_words.items():
            found, corpus_of = embedded(fused, voices, corpus), {"corpus": name}
            use += [corpus_of | row for row in gated_use(one, found, gate, seed)]
            advance(1)
            streams += [corpus_of | row for row in gated_adaptation(one, found, gate, seed)]
            advance(1)
            enrolling = _shots(found)
            sets += [
                corpus_of | {"shots": shots} | open_set(one, found, background, shots, seed) for shots in enrolling
            ]
            advance(1)
            thresholds, alarms, missed = false_alarms(one, found, background, enrolling[-1], seed)
            curves[f"{name}, {enrolling[-1]} recordings of a word"] = (alarms, 100 * missed)
            for limit in ALARMS:
                place = int(np.argmax(alarms <= limit))
                row = {"missed %": 100 * float(missed[place]), "threshold": float(thresholds[place])}
                spotting.append(corpus_of | {"false alarms an hour": limit} | row)
            advance(1)
    hours = f"{background.hours:.2f} hours of background"
    plot_curves(
        workdir / "keywords.png",
        {name: (x[(x > 0) & (y > 0)], y[(x > 0) & (y > 0)], None) for name, (x, y) in curves.items()},
        "false alarms an hour", "missed or mistaken (%)", f"enrolled words, and {hours} without any", scale="log",
    )  # fmt: skip
    users = f"{EPISODES} users, five words"
    return [
        Table(f"Commands by a user and by strangers, {users}, one recording of each", use, USE),
        Table(f"Adaptation to unlabelled recordings, {users}, one recording of each", streams, STREAM),
        Table(f"An open set, {users}", sets, OPEN_SET),
        Table(f"Spotting in {hours}", spotting, SPOTTING),
    ]


def _shots(found: EmbeddedRecordings) -> list[int]:
    """Numbers of recordings that enrol a word: 1 and 5, as far as there are more of each."""
    keys = np.char.add(np.char.add(found.speakers, " "), found.labels)
    fewest = np.unique(keys, return_counts=True)[1].min()
    return [shots for shots in (1, 5) if shots < fewest] or [1]
