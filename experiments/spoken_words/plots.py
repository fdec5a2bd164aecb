"""Pictures of the spoken-words experiment."""

from collections.abc import Sequence
from pathlib import Path

from jaxmeta.training.report import plot_bars, plot_curves


def plot_accuracy(folder: Path, rows: Sequence[dict]) -> None:
    """Accuracy of each method and number of shots, with its interval, a picture for each corpus."""
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        own = [row for row in rows if row["corpus"] == corpus]
        series = {}
        for method in dict.fromkeys(row["method"] for row in own):
            series[method] = tuple([row[key] for row in own if row["method"] == method] for key in ("accuracy", "ci95"))
        shots = [f"{shots} recording{'s' * (shots > 1)} a word" for shots in dict.fromkeys(row["shots"] for row in own)]
        title = f"{corpus}: {rows[0]['ways']} new words by new speakers"
        plot_bars(folder / f"accuracy_{corpus}.png", series, shots, "accuracy (%)", title)


def plot_steps(folder: Path, rows: Sequence[dict], shots: int, tried: Sequence[int]) -> None:
    """Accuracy against inner steps, a picture for each corpus; methods without steps are level lines."""
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        chosen = sorted((r for r in rows if r["corpus"] == corpus and r["shots"] == shots), key=lambda r: r["steps"])
        series = {}
        for method in dict.fromkeys(row["method"] for row in chosen):
            own = [row for row in chosen if row["method"] == method]
            if len(own) == 1:
                own = [own[0] | {"steps": steps} for steps in (tried[0], tried[-1])]
            series[method] = tuple([row[key] for row in own] for key in ("steps", "accuracy", "ci95"))
        title = f"{corpus}: {rows[0]['ways']}-way {shots}-shot, unseen words and speakers"
        plot_curves(folder / f"steps_{corpus}.png", series, "inner steps", "accuracy (%)", title)
