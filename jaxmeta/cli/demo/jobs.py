"""Long work of the demo: a command of jaxmeta in a process of its own, so that the page stays alive and can end it."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jaxmeta

_HOW_FAR = re.compile(r"([0-9,]+) of ([0-9,]+)")
_PATIENCE = 6.0
"""Seconds until a command that was asked to end is killed; it promises to end within five."""
_LINES = 50

State = Literal["running", "done", "failed", "cancelled"]


@dataclass
class Job:
    """A command that runs, or has run."""

    kind: str
    state: State = "running"
    error: str = ""
    """Why it failed, in a line."""
    result: dict[str, Any] = field(default_factory=dict)
    """What it printed as JSON."""
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    """Last lines of its standard error."""

    def view(self) -> dict[str, Any]:
        """What the page shows."""
        message = self.said[-1] if self.said else ""
        how_far = _HOW_FAR.search(message)
        seconds = (self.ended or time.monotonic()) - self.began
        return {
            "kind": self.kind,
            "state": self.state,
            "error": self.error,
            "result": self.result,
            "seconds": round(seconds, 1),
            "message": message,
            "done": int(how_far[1].replace(",", "")) if how_far else None,
            "total": int(how_far[2].replace(",", "")) if how_far else None,
        }


class Jobs:
    """Runs one command after the other. `launcher` is what a command line begins with; None: this jaxmeta."""

    def __init__(self, launcher: Sequence[str] | None = None) -> None:
        self._launcher = launcher or [sys.executable, "-P", "-m", "jaxmeta.cli"]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self.last: Job | None = None

    def start(self, kind: str, arguments: Sequence[str], finish: Callable[[], None]) -> None:
        """Begin a command.

        Args:
          kind: what the page calls it.
          arguments: of jaxmeta.
          finish: called in a thread of its own after the command has succeeded; its ValueError is the job's error.
        Raises:
          ValueError: another one is running.
        """
        with self._lock:
            if self.running():
                raise ValueError("Something is being computed already; wait for it, or cancel it.")
            own = str(Path(jaxmeta.__file__).parent.parent)
            paths = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))
            process = subprocess.Popen(
                [*self._launcher, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
                env=os.environ | {"PYTHONPATH": paths},
            )  # fmt: skip
            self.last, self._process = Job(kind), process
            self._thread = threading.Thread(target=_follow, args=(process, self.last, finish), daemon=True)
            self._thread.start()

    def running(self) -> bool:
        """Whether a command runs, or what it has made is being taken over."""
        return self.last is not None and self.last.state == "running"

    def cancel(self) -> None:
        """End the command that runs, if there is one, and wait until it is gone; what it has begun to write goes."""
        with self._lock:
            process, thread = self._process, self._thread
            if process is None or process.poll() is not None or self.last is None:
                return
            self.last.state = "cancelled"
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
            if thread is not None:
                thread.join()


def _follow(process: "subprocess.Popen[str]", job: Job, finish: Callable[[], None]) -> None:
    """Collect what a command says until it ends, and take over what it has made."""
    output: list[str] = []
    with process:
        reader = threading.Thread(target=lambda: output.extend(process.stdout or ()), daemon=True)
        reader.start()
        for line in process.stderr or ():
            if line.strip():
                job.said.append(line.strip())
        reader.join()
    status = process.returncode
    job.ended = time.monotonic()
    if job.state == "cancelled":
        return
    if status != 0:
        last = job.said[-1] if job.said else f"the command ended with status {status}"
        job.error, job.state = last.removeprefix("jaxmeta: "), "failed"
        return
    state: State = "failed"
    error = "an error of the demo itself, which its terminal shows; start it again"
    try:
        job.result = json.loads(output[-1]) if output else {}
        finish()
        state, error = "done", ""
    except (ValueError, OSError) as problem:
        error = str(problem)
    finally:  # Whatever happens, the next command can begin.
        job.error, job.state = error, state
