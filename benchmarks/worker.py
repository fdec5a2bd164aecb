"""The systems of one library in a process of its own: the process, which answers requests, and the handle to it.

A request and its answer are one line of JSON each, over standard input and output. The process computes only while a
request is open, so that one system at a time has the machine.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.shared.host import HUGE_PAGES, usable_cores

ROOT = Path(__file__).parent.parent
# Libraries share a GPU: JAX takes a third of its memory at once, and leaves the rest.
SHARED_GPU = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.35"}


class WorkerError(Exception):
    """A request that failed, or a worker that ended, with its last words."""


class Worker:
    """A process with one library."""

    def __init__(self, library: str):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=SHARED_GPU | HUGE_PAGES | os.environ,
        )

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def ask(self, request: str, timeout: float | None = None, **arguments: Any) -> dict[str, Any]:
        """The answer to a request, one of the functions of `_Answers`.

        Args:
          timeout: seconds after which the process is ended; None: never.
        Raises:
          WorkerError: the request failed, or the process ended instead of answering.
        """
        with contextlib.suppress(BrokenPipeError):  # It has ended, as the empty answer will say.
            print(json.dumps({"request": request, **arguments}), file=self._process.stdin, flush=True)
        if timeout is not None and not select.select([self._process.stdout], [], [], timeout)[0]:
            self._process.kill()
            self._process.wait()
            raise WorkerError(f"no answer within {timeout:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"exit status {self._process.wait()}: {self._last_words()}")
        answer = json.loads(line)
        if "failed" in answer:
            raise WorkerError(answer["failed"])
        return answer

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

    def __init__(self, library: str):
        self.library = importlib.import_module(f"benchmarks.systems.{library}_library")
        self.library.start()
        self.steps: dict[str, Any] = {}
        self.prepared: dict[str, Any] = {}

    def device(self) -> dict[str, Any]:
        """{"platform": ..., "kind": ...}."""
        return self.library.device()

    def stamp(self, seed: int, argv: list[str]) -> dict[str, Any]:
        """Versions, commit and machine, which need JAX; the asking process does without."""
        from jaxmeta.training import report

        return report.stamp(seed, argv, {})

    def supports(self, module: str, workload: dict[str, Any], order: int) -> dict[str, Any]:
        """{"reason": ""}, or why not."""
        return {"reason": _module(module).supports(_make(workload), order)}

    def prepare(self, builds: list[dict[str, Any]], seconds: float | None) -> dict[str, Any]:
        """Begin to build steps at the same time, for `build` to take, and wait for them for so long at most."""
        from concurrent.futures import ThreadPoolExecutor, wait

        self.library.use(builds[0]["workload"].get("precision", "float32"))
        modules = [(_module(each["module"]), each) for each in builds]  # Imported one after another.
        pool = ThreadPoolExecutor(usable_cores())
        for module, each in modules:
            self.prepared[_key(each)] = pool.submit(module.build, _make(each["workload"]), each["order"])
        pool.shutdown(wait=False)
        return {"ready": len(wait(self.prepared.values(), timeout=seconds).done)}

    def build(self, name: str, module: str, workload: dict[str, Any], order: int, gradient: str) -> dict[str, Any]:
        """Build a step, run it once and write its gradient to the .npz file named."""
        import numpy as np

        self.library.use(workload.get("precision", "float32"))
        job = self.prepared.pop(_key({"module": module, "workload": workload, "order": order}), None)
        step = job.result() if job else _module(module).build(_make(workload), order)
        np.savez(gradient, **step.read(step.run()))
        self.steps[name] = step
        return {"compile_seconds": step.compile_seconds, "cores": step.cores}

    def time(self, name: str, seconds: float) -> dict[str, Any]:
        """Run a step at least once and for at least `seconds`; processor time of all threads, on a CPU."""
        step, before = self.steps[name], _restart_peak()
        self.library.reset_peak()
        runs, start, used = 0, time.perf_counter(), time.process_time()
        while not runs or time.perf_counter() - start < seconds:
            step.run()
            runs += 1
        elapsed, used = time.perf_counter() - start, time.process_time() - used
        if self.device()["platform"] != "cpu":
            used = None  # A processor that waits for a GPU says nothing.
        memory = step.planned_memory_mb or self.library.peak_mb() or _peak_mebibytes() - before
        return {"runs": runs, "seconds": elapsed, "cpu_seconds": used, "memory_mb": memory}

    def drop(self) -> dict[str, Any]:
        """Forget all steps."""
        self.steps.clear()
        self.library.release()
        return {}

    def matmul(self, precision: str, sizes: list[int], seconds: float) -> dict[str, Any]:
        """Most operations a second in a product of two square matrices, and the settings."""
        best, settings = 0.0, self.library.use(precision)
        for size in sizes:
            product = self.library.matmul(size, precision)
            product()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                start = time.perf_counter()
                product()
                best = max(best, 2 * size**3 / (time.perf_counter() - start))
        self.library.release()
        return {"operations_per_second": best, "settings": settings}


def _key(build: dict[str, Any]) -> str:
    return json.dumps({name: build[name] for name in ("module", "workload", "order")}, sort_keys=True)


def _module(name: str):
    return importlib.import_module(f"benchmarks.systems.{name}")


def _make(workload: dict[str, Any]):
    from benchmarks.workloads import make

    return make(**workload)


def _restart_peak() -> float:
    """Let Linux measure the peak of this process's memory anew; MiB that it has now."""
    with contextlib.suppress(OSError):  # other systems: the peak is that since the process began
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_mebibytes()


def _peak_mebibytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _serve(library: str) -> None:
    """Answer requests until standard input ends."""
    # Answers go to a copy of standard output: a library that prints must not come between them.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        able = _Answers(library)
        for line in sys.stdin:
            arguments = json.loads(line)
            try:
                answer = getattr(able, arguments.pop("request"))(**arguments)
            except (ImportError, MemoryError, RuntimeError, TypeError, ValueError) as error:  # full, or no such thing
                answer = {"failed": f"{type(error).__name__}: {str(error).strip()[:300]}"}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
