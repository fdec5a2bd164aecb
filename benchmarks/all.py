"""Every table of benchmarks/README.md for the device that this runs on, in one file.

    python -m benchmarks.all --json benchmarks/results/cpu.json                  # hours on two cores
    python -m benchmarks.all --quick --json quick.json                           # under ten minutes on two cores
    python -m benchmarks.all --budget 480 --json gpu.json                        # what eight minutes of a GPU give
    python -m benchmarks.tables quick.json                                       # the tables

Each benchmark runs in a process of its own. With a budget, `peers` takes four tenths of it at most, and the others
share what is left, in the order of `SECTIONS`; one that does not end in its share is stopped, and the file says so.
The file is written after every benchmark, and the same command goes on where it was stopped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECTIONS = ("peers", "meta_gradient", "recognition", "adaptation", "scaling", "memory", "data")
"""Modules of this folder, the most telling first."""
QUICK_ARGUMENTS = {"memory": ("--network", "words"), "scaling": ("--sweep", "tasks")}
QUICK_SECONDS = 540.0
PEERS_SHARE = 0.4
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Config:
    """What is measured."""

    json: Path
    """File for everything; sections that it holds are not measured again."""
    quick: bool = False
    """Small work and few turns, in 540 seconds unless another budget is given."""
    budget: float | None = None
    """Seconds for everything; None: as long as it takes."""
    sections: tuple[str, ...] = SECTIONS


def main(config: Config) -> dict[str, Any]:
    """Measure what the file lacks, and write it.

    Returns:
      {"sections": name -> what that benchmark gave, "stopped": names of those that ran out of time, "run": command}.
    Raises:
      ValueError: a section that is none.
    """
    if unknown := set(config.sections) - set(SECTIONS):
        raise ValueError(f"sections must be some of {', '.join(SECTIONS)}, got {', '.join(sorted(unknown))}.")
    there = config.json.exists()
    results = json.loads(config.json.read_text(encoding="utf-8")) if there else {"sections": {}}
    results |= {"stopped": [], "run": {"argv": list(sys.argv)}}
    budget = config.budget or (QUICK_SECONDS if config.quick else None)
    end = None if budget is None else time.monotonic() + budget
    todo = [name for name in config.sections if name not in results["sections"]]
    for index, name in enumerate(todo):
        left = None if end is None else share(name, end - time.monotonic(), len(todo) - index)
        section = measure(name, config, left)
        if section is None:
            results["stopped"].append(name)
        else:
            results["sections"][name] = section
        config.json.parent.mkdir(parents=True, exist_ok=True)
        config.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def share(name: str, left: float, benchmarks: int) -> float:
    """Seconds for a benchmark, of those that are left for so many."""
    return left if benchmarks == 1 else left * PEERS_SHARE if name == "peers" else left / benchmarks


def measure(name: str, config: Config, seconds: float | None) -> dict[str, Any] | None:
    """The results of one benchmark, or None where it failed or was stopped with nothing to show."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file)]
        command += ["--quick", *QUICK_ARGUMENTS.get(name, ())] if config.quick else []
        if name == "peers" and seconds is not None:
            command += ["--budget", str(round(0.9 * seconds))]
        print(f"{name}: {'as long as it takes' if seconds is None else f'{seconds:.0f} s at most'}", flush=True)
        try:
            status = subprocess.run(command, cwd=ROOT, timeout=seconds, check=False).returncode
            print(f"{name}: " + ("done" if status == 0 else f"failed with status {status}"), flush=True)
        except subprocess.TimeoutExpired:
            print(f"{name}: stopped after {seconds:.0f} s", flush=True)
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.all", description=__doc__))
