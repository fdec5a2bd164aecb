"""A report as lines for a terminal, and as JSON."""

from collections import Counter
from pathlib import Path
from typing import Any

from jaxmeta.checking.folder import Report
from jaxmeta.checking.summary import METHOD, Summary
from jaxmeta.data.checking.kinds import KINDS, Case
from jaxmeta.versions import versions


def as_text(report: Report) -> str:
    """A table of the findings (kind, rows, the worst of them, what to do) below what the folder holds."""
    counts = Counter(case.kind for case in report.cases)
    lines = [f"{name}: {value}" for name, value in facts_of(report.summary).items()]
    if not counts:
        return "\n".join([*lines, "", "no findings"])
    rows = [("severity", "finding", "rows", "worst")]
    for name in counts:
        worst = next(case for case in report.cases if case.kind == name)
        rows.append((KINDS[name].severity, name, f"{counts[name]:,}", place_of(report, worst)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines.append("")
    for row, name in zip(rows, ["", *counts], strict=True):
        left = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        left[2] = row[2].rjust(widths[2])
        lines.append("  ".join(left).rstrip())
        if name:
            worst = next(case for case in report.cases if case.kind == name)
            lines += [f"{'':10}{worst.message}", f"{'':10}-> {KINDS[name].remedy}"]
    flagged, grave = len(report.rows()), len(report.rows(("error",)))
    share = 100 * flagged / report.summary.rows
    lines += [
        "",
        f"{flagged:,} of {report.summary.rows:,} rows ({share:.1f} %) have findings, {grave:,} of them errors",
    ]
    return "\n".join(lines)


def as_json(report: Report) -> dict[str, Any]:
    """What `--json` writes, as `docs/data-check.md` describes it."""
    counts = Counter(case.kind for case in report.cases)
    summary = report.summary
    return {
        "list": str(report.listing.path),
        "jaxmeta": versions()["jaxmeta"],
        "summary": {
            **summary._asdict(),
            "noise_db": summary.noise_db and [round(each, 1) for each in summary.noise_db],
            "noise_method": METHOD,
            "hours": round(summary.hours, 5),
            "flagged_rows": len(report.rows()),
            "rows_with_errors": len(report.rows(("error",))),
        },
        "findings": [
            {
                "kind": name,
                "severity": KINDS[name].severity,
                "threshold": KINDS[name].threshold,
                "remedy": KINDS[name].remedy,
                "rows": count,
                "cases": [_case(report, case) for case in report.cases if case.kind == name],
            }
            for name, count in counts.items()
        ],
    }


def facts_of(summary: Summary) -> dict[str, str]:
    """What a folder holds, as names and texts."""
    facts = {"recordings": f"{summary.readable:,} of {summary.rows:,} can be read, {summary.hours:.2f} h"}
    if summary.values:
        facts["distinct values"] = ", ".join(
            f"{count:,} of {name} (the rarest in {summary.fewest[name]:,} rows)"
            for name, count in summary.values.items()
        )
    for name, counts in (("sample rates", summary.sample_rates), ("channels", summary.channels)):
        unit = " Hz" if name == "sample rates" else ""
        facts[name] = ", ".join(f"{value:,}{unit} in {rows:,}" for value, rows in counts.items()) or "none"
    if summary.noise_db is not None:
        low, middle, high = summary.noise_db
        facts["signal to noise"] = f"median {middle:.0f} dB, 5 to 95 %: {low:.0f} to {high:.0f} dB ({METHOD})"
    if summary.episodes:
        facts["largest episodes"] = "; ".join(
            f"{ways:,} ways, {shots} shots, {queries} queries" for ways, shots, queries in summary.episodes
        )
    return facts


def place_of(report: Report, case: Case) -> str:
    """The row as a spreadsheet numbers it, and its file."""
    return f"row {case.row + 2}: {report.listing.columns['file_name'][case.row]}"


def _case(report: Report, case: Case) -> dict[str, Any]:
    file = report.listing.columns["file_name"][case.row]
    shown = str(Path(file)) if file else ""
    return {"row": case.row + 2, "file": shown, "value": case.value, "excess": case.excess, "message": case.message}
