"""What every benchmark does around its measurements: it shows what it is doing, and keeps its rows."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done: a spinner with the time so far on a terminal, lines elsewhere."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what: print(what, file=sys.stderr, flush=True)
        return
    with Progress(SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("")
        yield lambda what: bar.update(task, description=what)


def keep(path: Path | None, rows: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> dict[str, Any]:
    """Write the rows and the stamp to a JSON file, if one is named, and return them.

    Args:
      path: of the file; its folder is created.
      rows: one dict a result.
      run: the stamp and the configuration.
    Returns:
      {"rows": rows, "run": run}.
    """
    results = {"rows": list(rows), "run": dict(run)}
    if path:
        from jaxmeta.files.durable import write_json

        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, results)
    return results


def picture(plot: Path | None, json: Path | None, name: str) -> Path | None:
    """Where the plot `name` goes: beside the file of plots, or else of results; None where neither is named."""
    beside = plot or json
    return beside.with_name(f"{beside.stem}-{name}.png") if beside else None
