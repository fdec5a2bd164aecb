"""Phases of commands, each stopped by signals at seeded moments in children of a process that imports once.

`python -m tests.faults.phases PHASE FOLDER TRIES SEED` prints one line of JSON: what was wrong, and the longest seconds
from a signal to the end.
"""

import ctypes
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxmeta.cli.endings import prompt_signals, quiet_pipe
from jaxmeta.interrupts import patience
from jaxmeta.training.loop import train_loop
from jaxmeta.training.update import TrainState
from tests.faults.loops import _features

PATIENCE = 1.0
"""Seconds that Python may take to obey, instead of four."""


def extraction(folder: Path) -> None:
    while True:
        _features(folder)
        shutil.rmtree(folder / "cache")


def training(folder: Path) -> None:
    train = TrainState(np.int32(0), np.zeros(2, np.uint32), {"w": np.ones(3, np.float32)}, {}, {})
    train_loop(
        lambda state, _: (state._replace(step=state.step + 1), {"loss": state.params["w"].sum()}),
        train, lambda step: np.zeros(1), 10**9, folder / "run",
    )  # fmt: skip


def evaluation(folder: Path) -> None:
    """One operation that Python cannot interrupt, as a compilation is: a mutex that is locked twice."""
    mutex = ctypes.create_string_buffer(128)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)


def transcription(folder: Path) -> None:
    for number in itertools.count():
        print(f"{number}.wav\twhat is said in it", flush=True)


PHASES: dict[str, Callable[[Path], None]] = {
    each.__name__: each for each in (extraction, training, evaluation, transcription)
}


def stopped(phase: Callable[[Path], None], folder: Path, signals: list[int], seconds: float) -> tuple[str, int, float]:
    """Fork a phase and send it signals: what it said, its status, and the seconds until it had ended."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as said:
        if not (process := os.fork()):
            try:
                os.dup2(said.fileno(), 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                patience.seconds = PATIENCE
                with prompt_signals(), quiet_pipe():
                    os.write(writing, b"ready\n")
                    phase(folder)
            except SystemExit as stop:
                os._exit(int(str(stop.code)))
            except BaseException as error:
                os.write(2, f"Traceback: {error!r}".encode())
            os._exit(1)
        os.read(reading, 6)
        time.sleep(seconds)
        began = time.monotonic()
        for number in signals:
            os.kill(process, number)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        ended = time.monotonic() - began
        said.seek(0)
        return said.read().decode(), status, ended


def main(name: str, folder: Path, tries: int, seed: int) -> None:
    warnings.filterwarnings("ignore", message="os.fork")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell starts what is in the background without it.
    rng, wrong, longest = random.Random(seed), [], 0.0
    for _ in range(tries):
        number = rng.choice([signal.SIGINT, signal.SIGTERM])
        signals = [number] * rng.choice([1, 1, 2])
        said, status, seconds = stopped(PHASES[name], folder, signals, rng.uniform(0, 0.3))
        longest = max(longest, seconds)
        if status != 128 + number or "Traceback" in said or not ("stopped by" in said or "resumes" in said):
            wrong.append([status, said[-300:]])
    print(json.dumps({"wrong": wrong, "longest": round(longest, 2)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
