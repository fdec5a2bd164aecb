"""Tables and pictures of the compression experiment."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.compress.recipes import COLUMNS, LATENCY_COLUMNS
from experiments.compress.variants import System, Variant
from jaxmeta.compress.quantize import stored_bytes
from jaxmeta.training.report import markdown_table, plot_curves


def measured(system: System, variants: Iterable[Variant]) -> tuple[list[dict], dict[str, Variant]]:
    """Rows of every variant, the dense one first, and the variants by name."""
    rows: list[dict] = []
    found: dict[str, Variant] = {}
    for one in variants:
        found[one.name] = one
        sizes = {"bytes": stored_bytes(one.stored), "float_bytes": stored_bytes(found["float32"].stored)}
        named = {"network": system.name, "compressed": one.name, "kind": one.kind}
        rows += [named | sizes | row for row in system.measure(one, found["float32"])]
    return rows, found


def show(rows: Sequence[dict]) -> str:
    """The table as Markdown: percent, with 95 % intervals."""
    texts = [
        row | {
            "network": f"{row['network']}, {row['test']}",
            "kB": row["bytes"] / 1000,
            "times smaller": row["float_bytes"] / row["bytes"],
            "before": _interval(row, "before"),
            "after": _interval(row, "after"),
            "change": _interval(row, "change", "+.1f"),
            "kB a user": row["user_bytes"] / 1000,
            "adapted, then compressed": _interval(row, "reversed"),
        }
        for row in rows
    ]  # fmt: skip
    return markdown_table(texts, COLUMNS)


def show_latency(rows: Sequence[dict]) -> str:
    """The table of latencies as Markdown."""
    return markdown_table(rows, LATENCY_COLUMNS)


def plot(folder: Path, rows: Sequence[dict]) -> None:
    """What is right or wrong after adaptation against size, a picture for each network and test, a curve a kind."""
    for network, test in dict.fromkeys((row["network"], row["test"]) for row in rows):
        own = sorted(
            (row for row in rows if (row["network"], row["test"]) == (network, test)), key=lambda r: r["bytes"]
        )
        series = {}
        for when in ("after", "before"):
            for kind in dict.fromkeys(row["kind"] for row in own):
                some = [row for row in own if row["kind"] == kind and when in row]
                half = [_half(row, when) for row in some]
                if any(half):  # Where there is no interval there is nothing to see: chance.
                    series[f"{kind}, {when} adaptation"] = (
                        [row["bytes"] / 1000 for row in some], [row[when] for row in some], half,
                    )  # fmt: skip
        what = "accuracy (%)" if network == "words" else "character error rate (%)"
        plot_curves(folder / f"{network}_{test.replace(' ', '_')}.png", series, "size (kB)", what, f"{network}, {test}")


def _half(row: dict, name: str) -> float:
    if f"{name}_low" in row:
        return (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    return row.get(f"{name}_half", 0.0)


def _interval(row: dict, name: str, spec: str = ".1f") -> str | None:
    """ "value ± half" or "value (low to high)", as the row has it; None where it has no such figure."""
    if name not in row:
        return None
    value = format(row[name], spec)
    if f"{name}_low" in row:
        return f"{value} ({row[f'{name}_low']:{spec}} to {row[f'{name}_high']:{spec}})"
    return f"{value} ± {row[f'{name}_half']:.1f}" if f"{name}_half" in row else value
