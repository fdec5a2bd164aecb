"""Where the seconds go from a command to its first update, and to its end.

    python -m benchmarks.startup --json startup.json      # ten minutes of one core
    python -m benchmarks.startup --quick                  # help and `train words`, one turn

Each command runs in a process of its own, twice a turn: "cold" with an empty cache folder, and "warm" with what the
cold one left there (synthesised speech, features, hashes, compiled programs). Training makes few updates. `adapt` and
`transcribe` take the recogniser that `train recogniser` has written, and the voice beside it. Seconds are of processor
time, but for the column of wall time; "python" is the interpreter's own start, "compile" also reads compiled programs.
Figures are medians of the turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.shared import console
from benchmarks.startup.watched import STAGES

ROOT = Path(__file__).parents[2]
Command = Literal["help", "train words", "train recogniser", "adapt", "transcribe"]


@dataclass(frozen=True)
class Config:
    """What is measured."""

    json: Path | None = None
    """File for the rows and the stamp."""
    quick: bool = False
    """Help and `train words`, one turn."""
    commands: tuple[Command, ...] = ("help", "train words", "train recogniser", "adapt", "transcribe")
    words: tuple[Path, ...] = ()
    """Folders of recordings for `train words`; none: synthesised words."""
    updates: int = 8
    """Of training."""
    turns: int = 3


def main(config: Config) -> dict[str, Any]:
    """Measure, print a table, and write the JSON file if one is named. Rows are written as they come."""
    from benchmarks.tables import render
    from jaxmeta.training import report

    if config.quick:
        config = replace(config, commands=("help", "train words"), turns=1)
    stamp = report.stamp(0, sys.argv, {}) | {"config": vars(config)}
    taken: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    with console.progress() as step, tempfile.TemporaryDirectory() as folder:
        for turn in range(config.turns):
            for command in config.commands:
                for cache in ("cold", "warm"):
                    step(f"turn {turn + 1} of {config.turns}: {command}, {cache}")
                    for until, row in _measure(command, cache, config, Path(folder, str(turn))).items():
                        taken.setdefault((command, cache, until), []).append(row)
                    results = console.keep(config.json, _rows(taken), stamp)
    print(render(results["rows"]))
    return results


def _rows(taken: dict[tuple[str, str, str], list[dict[str, float]]]) -> list[dict[str, Any]]:
    """The medians of the turns."""
    return [
        {"command": command, "cache": cache, "until": until, "turns": len(turns)}
        | {name: median(turn[name] for turn in turns) for name in turns[0]}
        for (command, cache, until), turns in taken.items()
    ]


def _measure(command: Command, cache: str, config: Config, folder: Path) -> dict[str, dict[str, float]]:
    """ "first update" (of training) and "end" -> seconds by stage."""
    out, home = folder / f"{command} {cache}", folder / f"{command} cache"
    folder.mkdir(exist_ok=True)
    said, total = run(_arguments(command, out, folder / "train recogniser cold", config), home, folder / "said.json")
    rows = {}
    for until in ("first update", "end"):
        if stages := said[until]:
            both = [[said["python"][index]] + [stages[name][index] for name in (*STAGES, "rest")] for index in (0, 1)]
            in_all = total if until == "end" else [sum(each) for each in both]
            names = ("python", *STAGES, "rest")
            rows[until] = dict(zip(names, both[0], strict=True)) | {"in all": in_all[0], "wall": in_all[1]}
            rows[until]["rest"] += in_all[0] - sum(both[0])  # The interpreter's end.
    return rows


def _arguments(command: Command, out: Path, recogniser: Path, config: Config) -> list[str]:
    training = ["--updates", str(config.updates), "--out", str(out)]
    words = [str(folder) for folder in config.words] or ["--synthesised"]
    voice = recogniser / "voice"
    if command in ("adapt", "transcribe") and not voice.exists():
        raise ValueError(f"commands={config.commands}: {command} needs 'train recogniser' before it.")
    return {
        "help": lambda: ["--help"],
        "train words": lambda: ["train", "words", *words, "--episodes", "20", *training],
        "train recogniser": lambda: ["train", "recogniser", "--synthesised", *training],
        "adapt": lambda: ["adapt", str(recogniser), str(voice), "--out", str(out)],
        "transcribe": lambda: ["transcribe", str(recogniser), str(_recordings(voice)[0])],
    }[command]()


def _recordings(folder: Path) -> list[Path]:
    from jaxmeta.data.manifest import read_manifest

    return [Path(clip.path) for clip in read_manifest(folder).clips()]


def run(arguments: list[str], home: Path, file: Path) -> tuple[dict[str, Any], list[float]]:
    """What `watched` says of a command with this cache folder; seconds in all, of processor time and of wall time.

    Raises:
      RuntimeError: the command failed.
    """
    started = time.time()
    given = os.environ | {"JAXMETA_HOME": str(home), "STARTED": repr(started)}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.startup.watched", str(file), *arguments], cwd=ROOT, env=given,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"jaxmeta {' '.join(arguments)} ended with {process.returncode}: {errors}")
    return json.loads(file.read_text()), [usage.ru_utime + usage.ru_stime, time.time() - started]
