"""Tables of results, from files and not by hand.

    python -m benchmarks.tables FILE.json...     # prints every table of what a benchmark wrote
    python -m benchmarks.tables                  # renders anew the tables of benchmarks/README.md

A page has a table between a line `<!-- results/FILE.json SECTION -->` and a line `<!-- end -->`; the file's name is
taken from the page's folder.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "README.md"
BLOCK = re.compile(r"(<!-- (\S+\.json) (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
LEFT_OUT = {"group", "gflops", "turns"}
"""Columns that no table shows."""
NAMES = {
    "tasks_per_second": "tasks a second",
    "ratio_to_best_peer": "ratio",
    "ratio_of_processor_time": "in processor time",
    "best_peer": "best peer",
    "memory_mb": "MiB",
    "compile_seconds": "compiles in s",
    "matmul_fraction": "of matmul",
}


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table: numbers to the right with three digits, and a range beside the number it belongs to."""
    if not rows:
        return "No rows yet.\n"
    columns = list(dict.fromkeys(name for row in rows for name in row if name not in LEFT_OUT))
    ranged = {"lowest", "highest"} <= set(columns)
    # The range belongs to the column before it.
    middle = columns[columns.index("lowest") - 1] if ranged else None
    columns = [name for name in columns if not (ranged and name in ("lowest", "highest"))]
    lines = [[NAMES.get(name, name.replace("_", " ")) for name in columns]]
    lines.append(["---:" if all(_is_number(row.get(name)) for row in rows) else "---" for name in columns])
    for row in rows:
        cells = [_cell(name, row.get(name)) for name in columns]
        if ranged and row.get("lowest") is not None:
            low, high = (_cell("", row[name]) for name in ("lowest", "highest"))
            cells[columns.index(middle)] += f" ({low} to {high})"
        lines.append(cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def sections(file: Path) -> dict[str, dict[str, Any]]:
    """Section -> its results, of a file that `benchmarks.all` or one benchmark wrote."""
    data = json.loads(file.read_text(encoding="utf-8"))
    return data.get("sections", {file.stem: data})


def renew(text: str, folder: Path) -> str:
    """The text of a page with the tables of its files.

    Raises:
      ValueError: a file that is not there, or that has no such section.
    """

    def table(block: re.Match) -> str:
        file = folder / block[2]
        if not file.exists() or block[3] not in sections(file):
            raise ValueError(f"{file} has no section {block[3]!r}; measure it by python -m benchmarks.all.")
        return f"{block[1]}\n{render(sections(file)[block[3]]['rows'])}\n{block[4]}"

    return BLOCK.sub(table, text)


def main(files: Sequence[str]) -> None:
    """Print the tables of the files, or renew those of the page."""
    if not files:
        PAGE.write_text(renew(PAGE.read_text(encoding="utf-8"), PAGE.parent), encoding="utf-8")
    for file in map(Path, files):
        for name, results in sections(file).items():
            print(f"## {name}, {file}\n\n{render(results['rows'])}")
            print("".join(f"- {note}\n" for note in results.get("notes", [])))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "matmul_fraction":
        return f"{100 * value:.1f} %"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if _is_number(value) else str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
