"""Run a command of jaxmeta in this process, and say where its time went: `python -m benchmarks.startup.watched FILE`.

A thread looks at the stack of the main thread every few milliseconds. The time since its last look goes to the first of
`STAGES` whose files are in the stack. So the library needs no timers. What it says is written to FILE as JSON; what
comes after FILE is the command.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

STAGES = {
    "imports": ("importlib._bootstrap",),
    "compile": ("jax/_src/compiler.py", "jax/_src/compilation_cache.py"),
    "lower": ("jax/_src/interpreters/mlir.py",),
    "trace": ("jax/_src/interpreters/partial_eval.py",),
    "checkpoint": ("jaxmeta/training/checkpoint.py",),
    "data": ("jaxmeta/data/",),
}
"""Name -> parts of the names of files; compiling is also reading a compiled program. All else is "rest"."""
_LOOP = "jaxmeta/training/loop.py"
_PAUSE = 0.004
"""Seconds between two looks."""


class Watch:
    """Seconds by stage, of processor time (children that have ended with it) and of wall time."""

    def __init__(self) -> None:
        self.seconds = {name: [0.0, 0.0] for name in (*STAGES, "rest")}
        self.first_update: dict[str, Any] | None = None
        self.listens = False
        self._main, self._last, self._lock, self._over = threading.get_ident(), _clock(), threading.Lock(), False
        threading.Thread(target=self._look, daemon=True).start()

    def said(self) -> dict[str, Any]:
        """Stage -> [seconds of processor time, of wall time] so far."""
        self._add(sys._getframe())
        return {name: list(both) for name, both in self.seconds.items()}

    def on_event(self, event: str, duration: float, **about: Any) -> None:
        """What JAX calls at the end of an event: the loop's own program is there just before the first update."""
        if event == "/jax/core/compile/backend_compile_duration" and self.first_update is None:
            inner = next((frame for frame in _frames(sys._getframe()) if _LOOP in frame.f_code.co_filename), None)
            if inner is not None and inner.f_code.co_name == "go_on":
                self.first_update = self.said()

    def stop(self) -> None:
        """Look no more."""
        self._over = True

    def _look(self) -> None:
        while not self._over:
            time.sleep(_PAUSE)
            self._add(sys._current_frames().get(self._main))
            jax: Any = sys.modules.get("jax")  # Imported by the command, when it needs it.
            if jax is not None and not self.listens and not jax.__spec__._initializing:
                jax.monitoring.register_event_duration_secs_listener(self.on_event)
                self.listens = True

    def _add(self, frame: FrameType | None) -> None:
        files = {each.f_code.co_filename.replace(os.sep, "/") for each in _frames(frame)}
        with self._lock:
            now, last = _clock(), self._last
            name = stage(files)
            for index in range(2):
                self.seconds[name][index] += now[index] - last[index]
            self._last = now


def stage(files: set[str]) -> str:
    """The stage of a stack with these files."""
    for name, parts in STAGES.items():
        if any(part in file for file in files for part in parts):
            return name
    return "rest"


def _frames(frame: FrameType | None) -> list[FrameType]:
    """From the innermost outwards."""
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _clock() -> tuple[float, float]:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime, time.perf_counter()


def main() -> None:
    """Run the command of the arguments, as `jaxmeta` does."""
    began = time.process_time(), time.time() - float(os.environ["STARTED"])  # Python's own start.
    file, sys.argv = Path(sys.argv[1]), ["jaxmeta", *sys.argv[2:]]
    watch = Watch()

    def write() -> None:
        watch.stop()
        said = {"python": began, "end": watch.said(), "first update": watch.first_update}
        file.write_text(json.dumps(said))

    atexit.register(write)
    from jaxmeta.cli.__main__ import start

    start()


if __name__ == "__main__":
    main()
