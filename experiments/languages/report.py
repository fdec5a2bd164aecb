"""Tables, plots and files of the experiment on languages."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.languages.data import Languages
from experiments.languages.recipes import FEW_SHOT_COLUMNS, TRANSFER_COLUMNS
from jaxmeta.training.report import markdown_table, plot_curves, stamp, write_results


def write(
    folder: Path, seed: int, languages: Languages, few_shot: list[dict], matrices: list[dict], transfer: list[dict]
) -> dict:
    """Print the tables, write results.json, results.md and the plots; returns what results.json holds.

    Args:
      folder: of the results.
      seed: for the stamp.
      languages: of the results.
      few_shot, matrices, transfer: rows, or none.
    """
    run = stamp(seed, sys.argv, languages.fingerprints)
    unit = languages.vocabulary.level
    text = tables(unit, languages.sequence, few_shot, matrices, transfer)
    print(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(f"{text}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
    rows = [
        {"part": part} | row
        for part, found in (("few-shot", few_shot), ("matrix", matrices), ("transfer", transfer))
        for row in found
    ]
    write_results(folder, rows, run)
    _plot_few_shot(folder, few_shot, unit)
    _plot_sequence(folder, matrices, unit)
    return {"rows": rows, "run": run}


def tables(unit: str, names: Sequence[str], few_shot: list[dict], matrices: list[dict], transfer: list[dict]) -> str:
    """The results as Markdown; those there are."""
    parts = []
    if few_shot:
        first = few_shot[0]["method"]
        parts.append(f"{unit} error rate (%) in languages never heard before; against: points more than {first}\n\n")
        # With one method there is nothing to compare.
        columns = {name: spec for name, spec in FEW_SHOT_COLUMNS.items() if any(name in row for row in few_shot)}
        parts.append(markdown_table(few_shot, columns))
    if matrices:
        errors = {"method": "", "after": ""} | dict.fromkeys(names, ".1f")
        parts.append(f"\n{unit} error rate (%) of each language after learning one more\n\n")
        parts.append(markdown_table(matrices, errors))
        parts.append("\ntransfer in percentage points: forward against from scratch, backward since it was learnt\n\n")
        parts.append(markdown_table(transfer, TRANSFER_COLUMNS))
    return "".join(parts)


def _plot_few_shot(folder: Path, rows: list[dict], unit: str) -> None:
    """Error rate against utterances, a picture for each language."""
    for language in dict.fromkeys(row["language"] for row in rows):
        series = {}
        for method in dict.fromkeys(row["method"] for row in rows):
            own = [row for row in rows if row["language"] == language and row["method"] == method]
            own.sort(key=lambda row: row["utterances"])
            half = [(row["high"] - row["low"]) / 2 for row in own]
            series[method] = ([row["utterances"] for row in own], [row["error"] for row in own], half)
        plot_curves(
            folder / f"utterances_{language}.png", series, f"utterances of {language}", f"{unit} error rate (%)",
            "a language never heard before",
        )  # fmt: skip


def _plot_sequence(folder: Path, rows: list[dict], unit: str) -> None:
    """Mean error rate of the languages learnt so far, a curve for each method."""
    names = list(dict.fromkeys(row["after"] for row in rows))
    series = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = {row["after"]: row for row in rows if row["method"] == method}
        so_far = [[own[name][earlier] for earlier in names[: i + 1]] for i, name in enumerate(names)]
        series[method] = (list(range(1, len(names) + 1)), [sum(each) / len(each) for each in so_far], None)
    if series:
        plot_curves(
            folder / "sequence.png", series, f"languages learnt ({', '.join(names)})",
            f"{unit} error rate (%), mean of these", "languages learnt one after another",
        )  # fmt: skip
