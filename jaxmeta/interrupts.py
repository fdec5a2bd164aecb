"""SIGTERM and Ctrl-C while training: stop after this step; the second one stops at once."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Patience:
    """How long a command waits for Python to obey a signal, before it ends the process."""

    seconds: float


patience = Patience(4.0)
"""Training waits longer once it has begun: a step ends, and is saved."""
WHILE_TRAINING = 30.0


class Interrupted(SystemExit):
    """A signal stopped training, which is saved; uncaught, it ends the script with 128 + the signal's number."""


@contextlib.contextmanager
def collected_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; the second finds the handlers that were there before."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: Any) -> None:
        received.append(number)
        put_back()
        # print may be in the middle of a line right now, and must not be entered twice.
        os.write(2, b"\nstopping after this step; once more to stop at once without saving\n")

    if threading.current_thread() is threading.main_thread():  # only it may set handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            # nohup and job control ignore signals on purpose; None is a handler that Python cannot put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handle)
    seconds = patience.seconds
    try:
        yield received
    finally:
        patience.seconds = seconds
        put_back()
