"""`jaxmeta`, and `python -m jaxmeta.cli`."""

import os
import signal
from typing import Any


def start() -> None:
    """Run a command; a signal ends it with a line and no traceback, even while Python still imports."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup and job control ignore signals on purpose
            signal.signal(number, _end)
    from jaxmeta.cli.main import main

    main()


def _end(number: int, frame: Any) -> None:
    os.write(2, f"\njaxmeta: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    start()
