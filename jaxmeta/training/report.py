"""Results that say where they come from: a stamp, a table, a JSON file and plots."""

import datetime
import hashlib
import importlib.util
import logging
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import jax
import numpy as np

import jaxmeta
from jaxmeta.files.durable import write_json
from jaxmeta.metrics import Interval, interval_text
from jaxmeta.versions import versions

_log = logging.getLogger("jaxmeta")

Series = tuple[Any, Any, Any]
"""x [P], y [P] and the half-width of y's interval [P] or scalar, or None for no interval."""


def stamp(seed: int, argv: Sequence[str], data: Mapping[str, str | Path]) -> dict[str, Any]:
    """What is needed to run this again: versions, device, seed, commit, data hashes, command and time.

    Args:
      seed: of the run.
      argv: the command line, such as sys.argv; a program within the working folder is named from there.
      data: name of a data set -> its hash, or a Path to a file, or to a folder with a metadata.csv, whose SHA-256 is
        taken (of the list of recordings then, not of the recordings).
    Raises:
      FileNotFoundError: a Path does not exist.
    """
    devices = jax.devices()
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "argv": [_from_here(name) if place == 0 else name for place, name in enumerate(argv)],
        "seed": seed,
        "commit": commit(),
        "data": {name: _hash(value) if isinstance(value, Path) else value for name, value in data.items()},
        "packages": versions(),
        "python": platform.python_version(),
        "device": {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)},
        "host": {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()},
    }


def _from_here(program: str) -> str:
    """The path of a program, from the working folder where it is in it: the folders above say nothing of the run."""
    path = Path(program)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else program


def markdown_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | Mapping[str, str]) -> str:
    """Rows as a Markdown table, numbers to the right; an absent or None entry is a dash.

    Args:
      rows: dicts from column to value; an `Interval` is shown with its bounds, a pair as mean ± half-width.
      columns: names in order, or name -> format specification of its numbers, such as ".1f".
    Raises:
      ValueError: a column that no row has.
    """
    formats = dict(columns) if isinstance(columns, Mapping) else dict.fromkeys(columns, "")
    unknown = [name for name in formats if rows and not any(name in row for row in rows)]
    if unknown:
        raise ValueError(f"markdown_table: no row has a column {unknown[0]!r}; rows have {sorted(rows[0])}.")
    numeric = {name: all(row.get(name) is None or _is_number(row[name]) for row in rows) for name in formats}
    lines = [list(formats), ["---:" if numeric[name] else "---" for name in formats]]
    lines += [[_cell(row.get(name), spec) for name, spec in formats.items()] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def interval_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str | tuple[str, str, str]]) -> str:
    """Rows with intervals as a Markdown table, see `markdown_table`.

    Args:
      rows: dicts from column to value, with intervals as `Interval.columns` makes them.
      columns: name -> format specification; or, for an interval, the name that the rows have, the unit and the format
        specification.
    """
    texts = [
        {name: row.get(name) if isinstance(spec, str) else interval_text(row, *spec) for name, spec in columns.items()}
        for row in rows
    ]
    return markdown_table(texts, {name: spec if isinstance(spec, str) else "" for name, spec in columns.items()})


def write_results(directory: str | Path, rows: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> Path:
    """Write `directory/results.json` at once: {"rows": rows, "run": run}.

    Args:
      directory: created if missing.
      rows: one dict a result.
      run: the stamp.
    Returns:
      The path of the file.
    """
    path = Path(directory) / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"rows": rows, "run": run})
    return path


def write_tables(directory: str | Path, tables: str, rows: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> dict:
    """Print tables, write them with the command as results.md, and write results.json; returns what that holds.

    Args:
      directory: created if missing.
      tables: as `markdown_table` gives them.
      rows, run: as in `write_results`.
    """
    print(tables)
    path = write_results(directory, rows, run).with_suffix(".md")
    path.write_text(f"{tables}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
    return {"rows": list(rows), "run": dict(run)}


def write_titled_tables(
    directory: str | Path, tables: Mapping[str, Sequence[Mapping[str, Any]]], run: Mapping[str, Any]
) -> dict:
    """Several tables by `write_tables`: rows name theirs under "table", and columns stand as in the first row.

    Args:
      directory, run: as in `write_tables`.
      tables: title -> rows, each a dict from column to value.
    """
    texts = [f"{title}:\n\n{markdown_table(rows, list(rows[0]))}" for title, rows in tables.items()]
    rows = [{"table": title, **row} for title, each in tables.items() for row in each]
    return write_tables(directory, "\n".join(texts), rows, run)


def plot_curves(
    path: str | Path,
    series: Mapping[str, Series],
    xlabel: str,
    ylabel: str,
    title: str,
    *,
    points: Mapping[str, tuple[Any, Any]] | None = None,
    scale: Literal["linear", "log"] = "linear",
) -> Path | None:
    """Draw curves with their intervals as a PNG.

    Args:
      path: of the picture; its folder is created.
      series: name -> (x, y, half-width of the interval or None).
      xlabel: of the horizontal axis, with its unit.
      ylabel: of the vertical axis, with its unit.
      title: of the picture.
      points: name -> (x, y) of single points, such as the examples a curve was fitted to.
      scale: of both axes.
    Returns:
      The path, or None where matplotlib is not installed, which the logger "jaxmeta" notes.
    Raises:
      ValueError: x and y of a series differ in length.
    """
    for name, (x, y, _) in series.items():
        if np.shape(x) != np.shape(y):
            raise ValueError(f"plot_curves: series {name!r} has x of shape {np.shape(x)} but y of {np.shape(y)}.")
    axes = _axes(path, xlabel, ylabel, title)
    if axes is None:
        return None
    for name, (x, y, half) in series.items():
        _draw_curve(axes, name, np.asarray(x), np.asarray(y, float), half)
    for name, (x, y) in (points or {}).items():
        axes.scatter(x, y, s=28, color="black", zorder=3, label=name)
    axes.set(xscale=scale, yscale=scale)
    return _drawn(axes, path, legend=len(series) + len(points or {}) > 1)


def plot_bars(
    path: str | Path, series: Mapping[str, tuple[Any, Any]], groups: Sequence[str], ylabel: str, title: str
) -> Path | None:
    """Draw groups of bars with their intervals and their numbers as a PNG.

    Args:
      path: of the picture; its folder is created.
      series: name -> (heights, one for each group; half-widths of their intervals).
      groups: names of the groups.
      ylabel: of the vertical axis, with its unit.
      title: of the picture.
    Returns:
      As `plot_curves`.
    Raises:
      ValueError: a series has another number of bars than there are groups.
    """
    for name, (heights, _) in series.items():
        if len(heights) != len(groups):
            raise ValueError(f"plot_bars: series {name!r} has {len(heights)} bars for groups={list(groups)}.")
    axes = _axes(path, "", ylabel, title)
    if axes is None:
        return None
    width = 0.8 / len(series)
    for index, (name, (heights, half)) in enumerate(series.items()):
        places = np.arange(len(groups)) + (index - (len(series) - 1) / 2) * width
        bars = axes.bar(places, heights, 0.92 * width, yerr=half, capsize=3, label=name)
        axes.bar_label(bars, fmt="{:.1f}", padding=2, fontsize="small")
    axes.set_xticks(range(len(groups)), groups)
    axes.figure.legend(loc="outside lower center", ncols=len(series), frameon=False, fontsize="small")
    return _drawn(axes, path, legend=False)


def _axes(path: str | Path, xlabel: str, ylabel: str, title: str) -> Any:
    """Empty axes, or None where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        _log.warning("%s is not drawn: matplotlib is missing; pip install 'jaxmeta[plot]'.", path)
        return None
    from matplotlib.figure import Figure  # no pyplot: it would keep global state and may look for a screen

    axes = Figure(figsize=(6.4, 4.0), layout="constrained").add_subplot(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, loc="left", fontsize="medium", fontweight="bold")
    return axes


def _drawn(axes: Any, path: str | Path, *, legend: bool) -> Path:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    if legend:
        axes.legend(frameon=False, fontsize="small")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    axes.figure.savefig(path, dpi=150)
    return path


def _draw_curve(axes: Any, name: str, x: np.ndarray, y: np.ndarray, half: Any) -> None:
    (line,) = axes.plot(x, y, label=name, linewidth=1.8, marker="o" if len(x) <= 20 else "", markersize=4)
    if half is not None:
        half = np.asarray(half, float)
        axes.fill_between(x, y - half, y + half, color=line.get_color(), alpha=0.18, linewidth=0)


def _cell(value: Any, spec: str) -> str:
    if value is None:
        return "–"
    if _is_number(value):
        return format(value, spec or (".4g" if isinstance(value, float) else ""))
    if isinstance(value, Interval):
        return f"{value.value:.3g} ({value.low:.3g} to {value.high:.3g})"
    if isinstance(value, tuple):
        return f"{value[0]:.1f} ± {value[1]:.1f}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _hash(path: Path) -> str:
    with (path / "metadata.csv" if path.is_dir() else path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_digest(*packages: ModuleType) -> str:
    """Identifies the Python files of packages, under version control or not: results depend on them."""
    digest = hashlib.sha256()
    for package in packages:
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            for part in (path.relative_to(root).as_posix().encode(), path.read_bytes()):
                digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def commit() -> dict[str, Any] | None:
    """Commit of the checkout that jaxmeta was imported from, and whether its Python files differ from it."""
    source = Path(jaxmeta.__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(source.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", source.name)  # an installed copy may lie inside somebody else's checkout
        return {"id": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", ":/*.py"))}
    except (OSError, subprocess.SubprocessError):
        return None
