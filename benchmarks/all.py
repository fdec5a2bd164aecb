"""Every table of benchmarks/README.md for the device that this runs on, in one file.

    python -m benchmarks.all --json benchmarks/results/cpu.json                  # hours on two cores
    python -m benchmarks.all --quick --json quick.json                           # under ten minutes on two cores
    python -m benchmarks.all --gpu --json gpu.json                               # what eight minutes of a GPU give
    python -m benchmarks.tables quick.json                                       # the tables

Each benchmark runs in a process of its own. With a budget, `peers` takes four tenths of it at most, and the others
share what is left, in the order of `SECTIONS`. One whose share is below two minutes does its small work (`quick` in the
file), and one that does not end in its share is stopped, with all that it has started (`stopped`). A benchmark builds
and times each thing once before it times any again, so what a budget drops first is turns. Rows are in the file within
seconds of their measurement. The same command goes on where it was stopped, with groups of rows that are not complete.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.shared.host import usable_cores

SECTIONS = (
    "peers", "operations", "layers", "calls", "meta_gradient", "recognition", "adaptation", "scaling", "memory", "data",
    "rows", "processes",
)  # fmt: skip
"""Modules of this folder, the most telling first."""
GPU_SECTIONS = ("peers", "calls", "meta_gradient", "recognition", "scaling", "memory", "layers", "operations")
"""What a GPU changes; the last ones get what the others leave, for a GPU compiles their programs slowly."""
GPU_SECONDS = 480.0
GPU_ARGUMENTS = {"recognition": ("--no-searches",), "meta_gradient": ("--microbatch", "None")}
QUICK_ARGUMENTS = {
    "memory": ("--network", "words"),
    "scaling": ("--sweep", "tasks"),
    "processes": ("--processes", "1", "2"),
}
QUICK_SECONDS = 540.0
SMALL_SHARE = 120.0
"""Seconds below which a benchmark does its small work."""
NO_TIME = "no time was left."
"""How a note of `peers` ends that says what a budget left out."""
PEERS_SHARE = 0.4
INTERVAL = 5.0
"""Seconds between two looks at what a benchmark has written."""
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Config:
    """What is measured."""

    json: Path
    """File for everything; sections that it holds are not measured again, unless they were stopped."""
    quick: bool = False
    """Small work and few turns, in 540 seconds unless another budget is given."""
    budget: float | None = None
    """Seconds for everything; None: as long as it takes."""
    gpu: bool = False
    """Only what a GPU changes, in 480 seconds unless another budget is given."""
    sections: tuple[str, ...] | None = None
    """None: all of them, or with `gpu` those that a GPU changes."""


def main(config: Config) -> dict[str, Any]:
    """Measure what the file lacks, and write it.

    Returns:
      {"sections": name -> what that benchmark gave, "stopped": names of those that failed or ran out of time,
      "quick": names of those that did small work, "run": command}.
    Raises:
      ValueError: a section that is none.
    """
    sections = config.sections or (GPU_SECTIONS if config.gpu else SECTIONS)
    if unknown := set(sections) - set(SECTIONS):
        raise ValueError(f"sections must be some of {', '.join(SECTIONS)}, got {', '.join(sorted(unknown))}.")
    there = config.json.exists()
    results: dict[str, Any] = {"sections": {}, "stopped": [], "quick": []}
    results |= json.loads(config.json.read_text(encoding="utf-8")) if there else {}
    results |= {"run": {"argv": list(sys.argv), "cores": usable_cores()}}
    budget = config.budget or (QUICK_SECONDS if config.quick else GPU_SECONDS if config.gpu else None)
    end = None if budget is None else time.monotonic() + budget
    todo = [name for name in sections if name not in results["sections"] or name in results["stopped"]]
    for index, name in enumerate(todo):
        left = None if end is None else share(name, end - time.monotonic(), len(todo) - index)
        quick = config.quick or (left is not None and left < SMALL_SHARE)
        before = results["sections"].get(name) if quick == (name in results["quick"]) else None
        _mark(results, "quick", name, quick)
        _mark(results, "stopped", name, True)
        write = partial(_write, config.json, results, name)
        section, ended = measure(name, quick, left, before, write, config.gpu)
        _mark(results, "stopped", name, not ended)
        write(section)
    return results


def _mark(results: dict[str, Any], label: str, name: str, holds: bool) -> None:
    results[label] = sorted({*results[label], name} if holds else {*results[label]} - {name})


def _write(file: Path, results: dict[str, Any], name: str, section: dict[str, Any] | None) -> None:
    """Put what a benchmark has so far into the file of all."""
    from jaxmeta.files.durable import write_json

    if section:
        results["sections"][name] = section
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, results)


def share(name: str, left: float, benchmarks: int) -> float:
    """Seconds for a benchmark, of those that are left for so many."""
    return left if benchmarks == 1 else left * PEERS_SHARE if name == "peers" else left / benchmarks


def measure(
    name: str,
    quick: bool,
    seconds: float | None,
    before: dict[str, Any] | None = None,
    write: Callable[[dict[str, Any] | None], None] = lambda section: None,
    gpu: bool = False,
) -> tuple[dict[str, Any] | None, bool]:
    """The results of one benchmark, None where it has nothing to show, and whether it has measured everything.

    Args:
      name: of a module of this folder.
      quick: whether it does its small work.
      seconds: after which it is stopped; None: never.
      before: what it gave when it was stopped; it goes on from there.
      write: called with what there is, every few seconds.
      gpu: whether it leaves out what a GPU does not change.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file)]
        command += ["--quick", *QUICK_ARGUMENTS.get(name, ())] if quick else []
        command += GPU_ARGUMENTS.get(name, ()) if gpu else ()
        file.write_text(json.dumps(before or {}), encoding="utf-8")
        if name == "peers":
            command += [] if seconds is None else ["--budget", str(round(0.9 * seconds))]
        print(f"{name}: {'as long as it takes' if seconds is None else f'{seconds:.0f} s at most'}", flush=True)
        status = run(command, seconds, lambda: write(json.loads(file.read_text(encoding="utf-8"))))
        print(f"{name}: " + ("done" if status == 0 else f"ended with status {status}"), flush=True)
        section = json.loads(file.read_text(encoding="utf-8"))
        left_out = [note for note in section.get("notes", []) if note.endswith(NO_TIME)]
        return section or None, status == 0 and not left_out


def run(command: Sequence[str], seconds: float | None, now_and_then: Callable[[], None] = lambda: None) -> int:
    """The exit status of a command, which is ended after so many seconds with all processes that it started.

    Args:
      command: and its arguments.
      seconds: None: it is never ended.
      now_and_then: called every few seconds while it runs.
    """
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    end = math.inf if seconds is None else time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(min(left, INTERVAL))
            now_and_then()
        return -signal.SIGKILL
    finally:  # Workers too, which would go on computing; on a GPU they would hold its memory.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.all", description=__doc__))
