"""Loops that write a kind of file again and again, killed at seeded moments by a process that forks them.

`python -m tests.faults.loops KIND FOLDER KILLS SEED` imports once, and a try costs milliseconds. It prints one line of
JSON: how many kills there were, how many of them lost something, and the last number that was written.
"""

import functools
import io
import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from jaxmeta.bundle import BundleError, BundleKind, open_bundle, save_bundle
from jaxmeta.data.cache import cached_features
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import read_manifest, write_manifest
from jaxmeta.evaluation.result_cache import ResultCache
from jaxmeta.files.durable import write_json, write_text
from jaxmeta.files.sealed import read_sealed, write_sealed
from jaxmeta.training import checkpoint, runlog
from jaxmeta.training.update import TrainState


class Loop(NamedTuple):
    """What is written: the numbers 1, 2, ..."""

    read: Callable[[Path], int]
    """The last number that is there, 0 where there is none; raises what a reader would."""
    write: Callable[[Path, int], object]
    seconds: float = 0.02
    """Between a first write and a kill, at most."""


def _newest(folder: Path) -> int:
    """Folders of cards and weights: whole, or refused because the card is missing, which is written last."""
    numbers = []
    for each in folder.iterdir():
        try:
            bundle = open_bundle(each, THING, dict[str, int])
        except BundleError as error:
            if "is missing" not in str(error) or (each / THING.card).exists():
                raise
            shutil.rmtree(each)
            continue
        numbers.append(bundle.card["number"])
    return max(numbers, default=0)


def _json(folder: Path) -> int:
    path = folder / "a.json"
    return json.loads(path.read_bytes())["number"] if path.exists() else 0


def _sealed(folder: Path) -> int:
    path = folder / "a.json"
    return int(read_sealed(path, "thing", "")["number"]) if path.exists() else 0


def _rows(folder: Path) -> int:
    path = folder / "metrics.jsonl"
    rows, _ = runlog._rows(path) if path.exists() else ([], b"")
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    return len(rows)


@functools.cache
def _log(folder: Path, start: int) -> runlog.RunLog:
    runlog.is_installed = lambda: False  # Importing tensorboardX takes longer than a row.
    return runlog.RunLog(folder, 10**9, start=start, stream=io.StringIO()).__enter__()


def _row(folder: Path, number: int) -> None:
    log = _log(folder, START[0])
    log.write(number, {"loss": 1 / number})


def _results(folder: Path) -> int:
    results = ResultCache(folder).results
    assert sorted(results.values()) == list(range(1, len(results) + 1))
    return len(results)


def _state(number: int) -> TrainState:
    params = {"kernel": np.full((64, 64), number, np.float32)}
    return TrainState(np.int32(number), np.zeros(2, np.uint32), params, {}, {})


def _checkpoint(folder: Path) -> int:
    restored = checkpoint.restore(folder, _state(0))
    if restored is None:
        return 0
    assert (restored.params["kernel"] == int(restored.step)).all()
    return int(restored.step)


def _features(folder: Path) -> int:
    """The cache of features, which is whole or computed again; how often it was is a file of its own."""
    os.environ["JAXMETA_HOME"] = str(folder / "cache")
    manifest = read_manifest(_speech(folder))
    computed = cached_features(manifest, HASHES, MELS, workers=1, progress=False)
    assert [len(computed.frames), *computed.lengths] == [78, 26, 26, 26] and np.isfinite(computed.frames).all()
    count = folder / "count"
    return int(count.read_text()) if count.exists() else 0


def _speech(folder: Path) -> Path:
    spoken = folder / "spoken"
    if not (spoken / "metadata.csv").exists():
        spoken.mkdir(exist_ok=True)
        for row in range(3):
            soundfile.write(spoken / f"{row}.wav", np.random.default_rng(row).normal(size=4_000) / 10, 16_000)
        write_manifest(spoken, {"file_name": [f"{row}.wav" for row in range(3)]})
    return spoken


def _compute(folder: Path, number: int) -> None:
    for entry in (folder / "cache" / "features").iterdir():
        shutil.rmtree(entry)
    _features(folder)
    write_text(folder / "count", str(number))


MELS = FeatureConfig(n_mels=16, hop_length=160, normalize="none")
HASHES = ["0", "1", "2"]
"""Of the recordings, in the key of the cache alone."""
THING = BundleKind("thing", "card.json", 1, ("a.json",), "write it again")
START = [0]
PAD = "x" * 100_000
LOOPS = {
    "a file of JSON": Loop(_json, lambda folder, n: write_json(folder / "a.json", {"number": n, "pad": PAD})),
    "a sealed file": Loop(_sealed, lambda folder, n: write_sealed(folder / "a.json", "thing", {"number": n, "p": PAD})),
    "rows of metrics": Loop(_rows, _row, 0.005),
    "results of evaluation": Loop(_results, lambda folder, n: ResultCache(folder).get([n], lambda: n)),
    "a folder of card and weights": Loop(
        _newest,
        lambda folder, n: save_bundle(
            folder / str(n), THING, {"number": n}, {"w": np.full(50_000, n, np.float32)},
            {"a.json": lambda path: write_json(path, {"pad": PAD})},
        ),
        0.15,
    ),
    "features": Loop(_features, _compute, 0.3),
    "checkpoints": Loop(_checkpoint, lambda folder, n: checkpoint.save(folder, _state(n)), 0.3),
}  # fmt: skip


def child(loop: Loop, folder: Path, acknowledge: int) -> None:
    """Read what is there, and write on until the end; each number is acknowledged once it is written."""
    START[0] = number = loop.read(folder)
    os.write(acknowledge, b"%d\n" % number)
    while True:
        number += 1
        loop.write(folder, number)
        os.write(acknowledge, b"%d\n" % number)


def killed(loop: Loop, folder: Path, seconds: float, at_once: bool) -> tuple[list[int], int]:
    """Fork a child, and kill it some seconds later: the numbers that it acknowledged, and its status.

    Args:
      at_once: count from the fork, and not from when it has read what is there.
    """
    reading, writing = os.pipe()
    if not (process := os.fork()):
        try:
            os.close(reading)
            child(loop, folder, writing)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as acknowledged:
        first = [] if at_once else [acknowledged.readline()]
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
        numbers = [int(line) for line in [*first, *acknowledged] if line.endswith(b"\n")]
    return numbers, os.waitpid(process, 0)[1]


def main(kind: str, folder: Path, kills: int, seed: int) -> None:
    warnings.filterwarnings("ignore", message="os.fork")
    loop, rng, last, lost = LOOPS[kind], random.Random(seed), 0, 0
    loop.read(folder)  # and what it imports, once
    for _ in range(kills):
        numbers, status = killed(loop, folder, rng.uniform(0, loop.seconds), rng.random() < 0.2)
        # What was acknowledged before a kill is there after it, and the next loop goes on from it.
        lost += status != signal.SIGKILL or bool(numbers and numbers[0] < last)
        last = max([last, *numbers])
    print(json.dumps({"kills": kills, "lost": lost, "written": last}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
