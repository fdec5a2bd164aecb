"""Pictures of results: accuracy of few-shot methods, error rates, and errors of detection against each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmeta.metrics import Trials, detection_curve, equal_error_rate
from jaxmeta.training.report import Series, plot_bars, plot_curves


def plot_accuracy(folder: Path, rows: Sequence[dict]) -> None:
    """Accuracy of each method and number of shots with its interval, a picture for each corpus, of few-shot rows."""
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        own = [row for row in rows if row["corpus"] == corpus]
        series: dict[str, Any] = {}
        for method in dict.fromkeys(row["method"] for row in own):
            series[method] = tuple([row[key] for row in own if row["method"] == method] for key in ("accuracy", "ci95"))
        shots = [f"{shots} recording{'s' * (shots > 1)} a word" for shots in dict.fromkeys(row["shots"] for row in own)]
        title = f"{corpus}: {rows[0]['ways']} new words by new speakers"
        plot_bars(folder / f"accuracy_{corpus}.png", series, shots, "accuracy (%)", title)


def plot_steps(folder: Path, rows: Sequence[dict], shots: int, tried: Sequence[int]) -> None:
    """Accuracy against inner steps, a picture for each corpus; methods without steps are level lines."""
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        chosen = sorted((r for r in rows if r["corpus"] == corpus and r["shots"] == shots), key=lambda r: r["steps"])
        series: dict[str, Any] = {}
        for method in dict.fromkeys(row["method"] for row in chosen):
            own = [row for row in chosen if row["method"] == method]
            if len(own) == 1:
                own = [own[0] | {"steps": steps} for steps in (tried[0], tried[-1])]
            series[method] = tuple([row[key] for row in own] for key in ("steps", "accuracy", "ci95"))
        title = f"{corpus}: {rows[0]['ways']}-way {shots}-shot, unseen words and speakers"
        plot_curves(folder / f"steps_{corpus}.png", series, "inner steps", "accuracy (%)", title)


def plot_error_rates(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    x: str,
    xlabel: str,
    *,
    y: str = "cer",
    ylabel: str = "character error rate (%)",
    title: str = "speakers held out of training",
) -> None:
    """Draw a column of rows against another one as a PNG, a curve with its interval for each method.

    Args:
      path: of the picture.
      rows: with the columns `method`, x, y, and y's name with `_low` and `_high`.
      x, y: names of columns.
      xlabel, ylabel, title: of the picture.
    """
    low, high = f"{y}_low", f"{y}_high"
    series = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = sorted((row for row in rows if row["method"] == method), key=lambda row: row[x])
        half = [(row[high] - row[low]) / 2 for row in own]
        series[method] = ([row[x] for row in own], [row[y] for row in own], half)
    plot_curves(path, series, xlabel, ylabel, title)


def plot_verification(folder: Path, trials: Mapping[str, Mapping[str, Trials]], clips: int) -> None:
    """False rejects against false accepts, with the points where they are equal.

    Args:
      folder: for a picture of each title.
      trials: title, such as "corpus, condition" -> network -> its trials.
      clips: that enrolled a voice.
    """
    for title, by_network in trials.items():
        curves = {name: detection_curve(each.scores, each.targets) for name, each in by_network.items()}
        equal = {name: 100 * equal_error_rate(curve) for name, curve in curves.items()}
        plot_curves(
            folder / f"{title.replace(', ', '_').replace(' ', '_')}.png",
            {name: _positive(100 * each.false_accepts, 100 * each.false_rejects) for name, each in curves.items()},
            "false accepts (%)", "false rejects (%)", f"{title}, {clips} clips enrolled", scale="log",
            points={f"{name}: equal at {each:.1f} %": ([each], [each]) for name, each in equal.items()},
        )  # fmt: skip


def plot_spotting(path: Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], hours: float) -> None:
    """Words missed against false alarms.

    Args:
      path: of the picture.
      curves: name -> false alarms an hour [P], share of words missed [P].
      hours: of background that was searched.
    """
    plot_curves(
        path, {name: _positive(alarms, 100 * missed) for name, (alarms, missed) in curves.items()},
        "false alarms an hour", "missed or mistaken (%)",
        f"enrolled words, and {hours:.2f} hours of background without any", scale="log",
    )  # fmt: skip


def _positive(x: np.ndarray, y: np.ndarray) -> Series:
    """At most 500 points of a curve, those that logarithmic axes cannot show left out."""
    inside = np.flatnonzero((x > 0) & (y > 0))
    some = inside[np.unique(np.linspace(0, len(inside) - 1, 500).astype(int))] if len(inside) else inside
    return x[some], y[some], None
