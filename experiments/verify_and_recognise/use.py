"""What an assistant is in use: its gate, what it adapts to, the open set that it meets, and its false alarms."""

from pathlib import Path

import numpy as np

from experiments.verify_and_recognise.assistant import embedded
from experiments.verify_and_recognise.data import Spoken
from experiments.verify_and_recognise.gating import EPISODES, gated_adaptation, gated_use
from experiments.verify_and_recognise.keywords import Background, false_alarms, open_set
from experiments.verify_and_recognise.report import ALARMS, OPEN_SET, SPOTTING, STREAM, USE, plus_minus
from experiments.verify_and_recognise.training import System
from experiments.verify_and_recognise.verification import Voices
from jaxmeta.data.progress import progress_bar
from jaxmeta.training.report import markdown_table, plot_curves
from jaxmeta.verification.assistant import Assistant
from jaxmeta.verification.gate import Gate


def used(
    one: Assistant, fused: System, voices: Voices, data: Spoken, gate: Gate, seed: int, workdir: Path
) -> list[str]:
    """Tables of `EPISODES` users of each corpus of words, and a plot of misses against false alarms."""
    background = Background(one, data.background)
    use, streams, sets, spotting, curves = [], [], [], [], {}
    with progress_bar("users", 4 * len(data.new_words)) as advance:
        for name, corpus in data.new_words.items():
            found = embedded(fused, voices, corpus)
            shares = {key: plus_minus(*value) for key, value in gated_use(one, found, gate, seed).items()}
            use += [
                {"corpus": name, "who": who} | {key: shares[f"{who} {key}"] for key in list(USE)[2:]}
                for who in ("own", "strangers'")
            ]
            advance(1)
            streams += [
                {"corpus": name, "adapted to": row["stream"], "word error %": plus_minus(row["error"], row["ci95"]),
                 "change against the clean stream": plus_minus(row["change"], row["change_ci95"])}
                for row in gated_adaptation(one, found, gate, seed)
            ]  # fmt: skip
            advance(1)
            fewest = min(np.unique(np.char.add(found.speakers, found.labels), return_counts=True)[1])
            enrolling = [shots for shots in (1, 5) if shots < fewest] or [1]
            for shots in enrolling:
                row = open_set(one, found, background, shots, seed)
                sets.append({"corpus": name, "shots": shots} | {key: plus_minus(*value) for key, value in row.items()})
            advance(1)
            thresholds, alarms, missed = false_alarms(one, found, background, enrolling[-1], seed)
            curves[f"{name}, {enrolling[-1]} recordings of a word"] = (alarms, 100 * missed, None)
            for limit in ALARMS:
                place = int(np.argmax(alarms <= limit))
                row = {"missed %": 100 * float(missed[place]), "threshold": float(thresholds[place])}
                spotting.append({"corpus": name, "false alarms an hour": limit} | row)
            advance(1)
    plot_curves(
        workdir / "keywords.png", {name: (x[x > 0], y[x > 0], half) for name, (x, y, half) in curves.items()},
        "false alarms an hour", "missed or mistaken (%)",
        f"enrolled words, and {background.hours:.2f} hours of background without any", scale="log",
    )  # fmt: skip
    return [
        f"Commands by a user and by strangers, {EPISODES} users, one recording of each of five words enrolled:\n",
        markdown_table(use, USE),
        "Adaptation to unlabelled recordings:\n",
        markdown_table(streams, STREAM),
        "Five enrolled words, unknown words and silence:\n",
        markdown_table(sets, OPEN_SET),
        f"Spotting in {background.hours:.2f} hours of background:\n",
        markdown_table(spotting, SPOTTING),
    ]
