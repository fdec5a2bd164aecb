"""One system in a process of its own: the process, which answers requests, and the handle that `peers` holds on it.

A request and its answer are one line of JSON each, over standard input and output. The process computes only while a
request is open, so that one system at a time has the machine.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


class WorkerError(Exception):
    """A worker that ended, with the last lines that it wrote to standard error."""


class Worker:
    """A process with the system of one module in `benchmarks.systems`."""

    def __init__(self, module: str):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
        )

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a request, one of the functions of `_Answers`.

        Raises:
          WorkerError: the process ended instead.
        """
        with contextlib.suppress(BrokenPipeError):  # It has ended, as the empty answer will say.
            print(json.dumps({"request": request, **arguments}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"exit status {self._process.wait()}: {self._last_words()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(BrokenPipeError):  # a request that was never read
                stream.close()

    def _last_words(self, lines: int = 3) -> str:
        self._errors.seek(0)
        return " / ".join(self._errors.read().decode(errors="replace").split("\n")[-lines - 1 :]).strip(" /")


class _Answers:
    """What a worker can be asked."""

    def __init__(self, module: str):
        self.module = importlib.import_module(f"benchmarks.systems.{module}")
        # The library is loaded by now: what comes on top is the work's.
        self.before = _peak_mebibytes()
        self.step: Any = None

    def supports(self, workload: dict[str, Any], order: int) -> dict[str, Any]:
        """{"reason": ""}, or why not."""
        return {"reason": self.module.supports(_make(workload), order)}

    def build(self, workload: dict[str, Any], order: int, gradient: str, **options: Any) -> dict[str, Any]:
        """Build the step, run it once and write its gradient to the .npz file named."""
        import numpy as np

        self.step = self.module.build(_make(workload), order, **options)
        np.savez(gradient, **self.step.read(self.step.run()))
        return {"compile_seconds": self.step.compile_seconds, "cores": self.step.cores}

    def time(self, seconds: float) -> dict[str, Any]:
        """Run at least once and for at least `seconds`."""
        runs, start = 0, time.perf_counter()
        while not runs or time.perf_counter() - start < seconds:
            self.step.run()
            runs += 1
        elapsed = time.perf_counter() - start
        return {"runs": runs, "seconds": elapsed, "peak_memory_mb": _peak_mebibytes() - self.before}

    def matmul(self, sizes: list[int], seconds: float) -> dict[str, Any]:
        """Most float32 operations a second in a product of two square matrices."""
        best = 0.0
        for size in sizes:
            product = self.module.matmul(size)
            product()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                start = time.perf_counter()
                product()
                best = max(best, 2 * size**3 / (time.perf_counter() - start))
        return {"operations_per_second": best}


def _make(workload: dict[str, Any]):
    from benchmarks.workloads import make

    return make(**workload)


def _peak_mebibytes() -> float:
    # Linux counts KiB and macOS bytes. On Linux the figure starts at the parent's own, so the parent must stay small.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _serve(module: str) -> None:
    """Answer requests until standard input ends."""
    # Answers go to a copy of standard output: a library that prints must not come between them.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        able = _Answers(module)
        for line in sys.stdin:
            arguments = json.loads(line)
            answer = getattr(able, arguments.pop("request"))(**arguments)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
