"""Choosing rates and steps on validation speakers, the table on test speakers, curves, forgetting and the gate."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from experiments.adapt_asr.protocol import Build, Heard, Protocol, row
from experiments.adapt_asr.recipes import CHOSEN_SHOTS, CHOSEN_STEPS, COLUMNS, SAFETY_COLUMNS, STEPS, TABLE_SHOTS
from jaxmeta.decoding.error_rates import error_rate
from jaxmeta.training.report import markdown_table, plot_curves

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.adapt_asr.methods import Method
    from jaxmeta.types import PyTree


class Trained(NamedTuple):
    """A method, what it starts from, and the rate and steps that were best on validation speakers."""

    name: str
    build: Build
    params: PyTree
    rate: float
    steps: int
    error: float
    """Character error rate on validation speakers, in percent."""


def choose(name: str, method: Method, params: PyTree, validation: Protocol, inner_rate: float) -> Trained:
    """The best rate on validation speakers, for `CHOSEN_STEPS`, and then the best number of steps at that rate."""

    def tried(rate: float, steps: int) -> Trained:
        heard = validation.hear(name, method.build, params, CHOSEN_SHOTS, rate, steps)
        return Trained(name, method.build, params, rate, steps, error_rate(heard.characters))

    best = min((tried(rate, CHOSEN_STEPS) for rate in method.grid(inner_rate)), key=lambda one: one.error)
    best = min((tried(best.rate, steps) for steps in STEPS), key=lambda one: one.error)
    print(f"{name}: rate {best.rate:g}, {best.steps} steps, {best.error:.1f} % on validation speakers", file=sys.stderr)
    return best


def baseline_of(methods: Mapping[str, Trained]) -> Trained | None:
    """The fine-tuning that was best on validation speakers."""
    tuned = [method for name, method in methods.items() if name.startswith("fine-tune")]
    return min(tuned, key=lambda one: one.error, default=None)


def finalists(methods: Mapping[str, Trained]) -> list[Trained]:
    """What one would choose between: the best fine-tuning, and the best of the others, on validation speakers."""
    others = {name: method for name, method in methods.items() if not name.startswith("fine-tune")}
    best = min(others.values(), key=lambda one: one.error, default=None)
    return [method for method in (baseline_of(methods), best) if method is not None]


def hear(method: Trained, protocol: Protocol, shots: int, steps: int | None = None) -> Heard:
    """A method with its own rate on a protocol."""
    return protocol.hear(
        method.name, method.build, method.params, shots, method.rate, method.steps if steps is None else steps
    )


def table(methods: Mapping[str, Trained], protocol: Protocol, others: Protocol) -> list[dict]:
    """A row for every method and number of utterances, and one of each without adaptation.

    At `CHOSEN_SHOTS` it is compared with `others`, where speakers are recognised by what adapted to another speaker.
    """
    baseline, rows = baseline_of(methods), []
    for method in methods.values():
        before = hear(method, protocol, 0)
        for shots in (0, *TABLE_SHOTS):
            heard = hear(method, protocol, shots)
            other = None if baseline is None or not shots else hear(baseline, protocol, shots)
            another = hear(method, others, shots) if shots == CHOSEN_SHOTS else None
            rows.append(_named(method, shots, method.steps if shots else 0) | row(heard, before, other, another))
    return rows


def curve_of_steps(methods: Sequence[Trained], protocol: Protocol) -> list[dict]:
    """Rows at one number of utterances for other numbers of steps, none included."""
    return [
        _named(method, CHOSEN_SHOTS, steps)
        | row(hear(method, protocol, CHOSEN_SHOTS, steps), hear(method, protocol, 0))
        for method in methods
        for steps in (0, *STEPS)
    ]


def plot(folder: Path, name: str, rows: list[dict], across: str, xlabel: str) -> None:
    """Character error rate against a column of the rows, a curve for each method."""
    series = {}
    for method in dict.fromkeys(found["method"] for found in rows):
        own = sorted((found for found in rows if found["method"] == method), key=lambda found: found[across])
        half = [(found["cer_high"] - found["cer_low"]) / 2 for found in own]
        series[method] = ([found[across] for found in own], [found["cer"] for found in own], half)
    plot_curves(folder / f"{name}.png", series, xlabel, "character error rate (%)", "speakers never heard in training")


def show(rows: list[dict]) -> str:
    """The table as Markdown: percent, with 95 % intervals over speakers."""
    texts = [
        found | {
            "CER": interval(found, "cer"),
            "WER": interval(found, "wer"),
            "less CER than before": interval(found, "gain", " %"),
            "CER against fine-tuning": interval(found, "against", "", "+.1f"),
            "against another's utterances": interval(found, "own", "", "+.1f"),
        }
        for found in rows
    ]  # fmt: skip
    return markdown_table(texts, COLUMNS)


def show_safety(rows: list[dict]) -> str:
    """What the gate let through, and what adaptation did to the speakers of training."""
    texts = [
        found | {
            "adapted": found["adopted"],
            "CER behind the gate": interval(found, "gated"),
            "CER of source speakers": found["source"],
            "its change": interval(found, "backward", "", "+.1f"),
        }
        for found in rows
    ]  # fmt: skip
    return markdown_table(texts, SAFETY_COLUMNS)


def interval(row: dict, name: str, unit: str = "", spec: str = ".1f") -> str | None:
    """ "value (low to high)", or None where the row has no such figure."""
    if name not in row:
        return None
    value, low, high = (format(row[key], spec) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value}{unit} ({low} to {high})"


def _named(method: Trained, shots: int, steps: int) -> dict:
    return {"method": method.name, "shots": shots, "rate": method.rate, "steps": steps}
