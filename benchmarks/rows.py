"""How opening, memory and sampling grow with the rows of a manifest, up to data larger than memory.

    python -m benchmarks.rows --json benchmarks/results/rows.json     # minutes; a million rows need 1.5 GB of the disk
    python -m benchmarks.rows --quick                                 # a thousand and ten thousand rows

Each number of rows has a process of its own. Its manifest names pieces of recordings, 1,000 of each file, of 50 words.
The features, log-mels of 40 bands with 8 to 16 frames, lie in a file that is mapped into memory, as a corpus of the
cache does; it is sparse, so that reading it costs memory but no disk. Figures are of processor time, which other work
on the machine changes little: opening is reading and checking the manifest, and the sampler's beginning is counted by
itself. `opening_mb` is what the process grew by until then, and `peak_mb` all that it held in the end.
Expected: opening grows with rows, and episodes a second do not.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.shared import console
from benchmarks.shared.results import Options, Results, Write

ROOT = Path(__file__).parent.parent
PIECES = 1000
"""Rows that are pieces of one file."""
LABELS = 50
MELS = 40
FRAMES = 16


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    quick: bool = False
    """A thousand and ten thousand rows, and few episodes."""
    rows: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    tasks: int = 4
    """Episodes in a batch, 5-way 1-shot with 25 queries."""
    batches: int = 50
    """Batches that are drawn in a turn."""
    turns: int = 5
    workdir: Path | None = None
    """Folder on the disk for manifests and features; None: the system's for temporary files."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table, and write the JSON file if one is named.

    Returns:
      {"rows": one for each number of rows, "run": the stamp}.
    """
    from jaxmeta.training import report

    counts, batches, turns = config.rows, config.batches, config.turns
    if config.quick:
        counts, batches, turns = (1_000, 10_000), 10, 2
    found: list[dict[str, Any]] = []
    results = Results(config.json, ("rows",))
    results.stamp(config, report.stamp(config.seed, sys.argv, {}))
    for count in counts:
        found += results.group(f"{count} rows", partial(_in_own_process, count, config, batches, turns))
    print(report.markdown_table(found, list(found[0])))
    return {"rows": found, "run": results.data["run"]}


def _in_own_process(count: int, config: Config, batches: int, turns: int, _: Write) -> list[dict[str, Any]]:
    """The row of a number of rows."""
    with tempfile.TemporaryDirectory(dir=config.workdir) as folder, console.progress() as step:
        step(f"{count:,} rows")
        given = {"count": count, "tasks": config.tasks, "batches": batches, "turns": turns, "seed": config.seed}
        command = [sys.executable, "-m", "benchmarks.rows", "--child", json.dumps(given | {"folder": folder})]
        child = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(child.stdout.splitlines()[-1])]


def write_rows(folder: Path, count: int) -> None:
    """Write a manifest of pieces, and files of the names that it has; no audio is read from them."""
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file_name", "start", "duration", "label"))
        for first in range(0, count, PIECES):
            name = f"{first // PIECES:06d}.flac"
            (folder / name).write_bytes(b"fLaC")
            for index in range(first, min(first + PIECES, count)):
                writer.writerow((name, (index - first) / 5, 0.16, f"word{index % LABELS}"))


def _measure(given: dict[str, Any]) -> dict[str, Any]:
    """The figures of one number of rows, in this process."""
    import numpy as np

    from jaxmeta.data.corpus import Corpus
    from jaxmeta.data.manifest import read_manifest
    from jaxmeta.data.sampling.episodes import episode_sampler

    folder, count = Path(given["folder"]), given["count"]
    write_rows(folder, count)
    lengths = np.random.default_rng(given["seed"]).integers(FRAMES // 2, FRAMES + 1, count, np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)])
    with (folder / "features").open("wb") as file:
        file.truncate(int(lengths.sum(dtype=np.int64)) * MELS * 4)
    before, began = _peak_mebibytes(), time.process_time()
    manifest = read_manifest(folder)
    opening, opened = time.process_time() - began, _peak_mebibytes() - before
    frames = np.memmap(folder / "features", np.float32, "r").reshape(-1, MELS)
    columns = {"recording": np.arange(count).astype(np.str_), **manifest.columns}
    began = time.process_time()
    sampler = episode_sampler(
        Corpus(frames, starts, lengths, columns),
        **{"ways": 5, "shots": 1, "queries": 5, "tasks": given["tasks"], "seed": given["seed"]},
        max_frames=FRAMES,
        buckets=1,
    )
    beginning, speeds = time.process_time() - began, []
    for turn in range(given["turns"]):
        began = time.process_time()
        for index in range(given["batches"]):
            sampler(turn * given["batches"] + index)
        speeds.append(given["tasks"] * given["batches"] / (time.process_time() - began))
    return {
        "rows": count, "opening_seconds": opening, "opening_mb": opened, "sampler_seconds": beginning,
        "features_mb": frames.nbytes / 2**20, "peak_mb": _peak_mebibytes(), "episodes_per_second": median(speeds),
        "lowest": min(speeds), "highest": max(speeds),
    }  # fmt: skip


def _peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(_measure(json.loads(sys.argv[2]))))
    else:
        import tyro

        main(tyro.cli(Config, prog="python -m benchmarks.rows", description=__doc__))
