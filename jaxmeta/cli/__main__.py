"""`jaxmeta`, and `python -m jaxmeta.cli`."""

import contextlib
import gc
import os
import signal
import sys
from typing import Any


def start() -> None:
    """Run a command; a signal ends it with a line and no traceback, even while Python still imports."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup and job control ignore signals on purpose
            signal.signal(number, _end)
    # Imports and traces make many objects that stay, and looking for garbage among them took a sixth of their time.
    gc.set_threshold(10_000, 20, 50)
    if "--dry-run" not in sys.argv:  # which writes nothing
        _keep_compiled_programs()
    from jaxmeta.cli.main import main

    main()


def _keep_compiled_programs() -> None:
    """Let JAX, which reads these as it is imported, find what an earlier command compiled."""
    from jaxmeta.files.folders import cache_home

    with contextlib.suppress(OSError):  # There is no home folder.
        home = cache_home().absolute()
        if os.access(next(folder for folder in (home, *home.parents) if folder.exists()), os.W_OK):
            os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "compiled"))
            os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")


def _end(number: int, frame: Any) -> None:
    os.write(2, f"\njaxmeta: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    start()
