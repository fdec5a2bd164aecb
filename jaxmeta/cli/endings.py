"""How a command ends: its exit status, and signals that are obeyed within seconds, whatever is being computed."""

import contextlib
import errno
import logging
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxmeta.files.folders import cache_home
from jaxmeta.interrupts import patience

USAGE, PARTLY_DONE, DIVERGED, FINDINGS, WRITING = 2, 3, 4, 5, 74
"""Exit statuses besides 0 and 128 + the number of a signal; 74 is EX_IOERR of sysexits.h."""
OUT_OF_MEMORY = (
    "out of memory; give fewer or shorter recordings, train with a smaller --preset, or let other programs end first."
)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
_TURN = 0.2
"""Seconds that a thread may take to write a line."""
_SWALLOWED = 0
"""Tells the watcher that the end went missing in a callback; no signal has this number."""


@dataclass
class _Progress:
    """How far the ending of this command by a signal has come."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    """Taken, and never given back, by the thread that says it."""
    said: bool = False
    raised: int | None = None
    """The signal for which the end has been raised in the main thread."""
    writing: int | None = None
    """To the watcher, while what a handler raises would be swallowed."""


_progress = _Progress()


class PartlyDoneError(ValueError):
    """Some of the inputs could not be used; the others were."""


class WritingError(ValueError):
    """A result cannot be written where it should be."""


def status_of(error: Exception) -> int:
    """The exit status of a command that ends with this error."""
    from jaxmeta.training.health import DivergedError

    if isinstance(error, WritingError) or (isinstance(error, OSError) and _is_of_writing(error)):
        return WRITING
    if isinstance(error, PartlyDoneError):
        return PARTLY_DONE
    return DIVERGED if isinstance(error, DivergedError) else USAGE


def _is_of_writing(error: OSError) -> bool:
    """Whether a disk is full, read-only or broken, or this user has no cache folder, or may not write to it."""
    if error.errno in _FULL:
        return True
    try:
        return error.filename is not None and Path(error.filename).absolute().is_relative_to(cache_home().absolute())
    except OSError:  # There is no home folder.
        return True


def is_out_of_memory(error: Exception) -> bool:
    """Whether the memory of this machine, or of a device, is used up; jax says the latter by the text alone."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


class _Stopped(SystemExit):
    """A signal ends the command."""


@contextlib.contextmanager
def prompt_signals() -> Iterator[None]:
    """End with a line and status 128 + number on SIGTERM and Ctrl-C, at once on the second one.

    Python runs its handlers between two operations of its own, and a compilation is one operation of half a minute. So
    a thread learns of the signal too, and ends the process where Python has not within `patience.seconds`. A handler
    that runs within a callback of C code, as of the garbage collector, ends nothing: then it is called once more.
    """
    if threading.current_thread() is not threading.main_thread():  # only it may set handlers
        yield
        return
    reading, writing = os.pipe()
    _progress.turn, _progress.said, _progress.raised, _progress.writing = threading.Lock(), False, None, None
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup and job control ignore signals on purpose
            signal.signal(number, _end)
    unraisable = sys.unraisablehook

    def swallowed(error: Any) -> None:
        if not isinstance(error.exc_value, _Stopped):
            unraisable(error)
            return
        _progress.writing = writing  # This is a callback, too.
        os.write(writing, bytes([_SWALLOWED]))
        _progress.writing = None

    sys.unraisablehook = swallowed
    watcher = threading.Thread(target=_watch, args=(reading,), daemon=True)
    watcher.start()
    try:
        with stopped_first():
            yield
    finally:
        signal.set_wakeup_fd(wakeup)
        if sys.unraisablehook is swallowed:
            sys.unraisablehook = unraisable
        os.close(writing)
        watcher.join()
        os.close(reading)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stopped_first() -> Iterator[None]:
    """End by the signal, whatever error C code has put in the place of the end, as an import of an extension does."""
    try:
        yield
    finally:
        if _progress.raised is not None:
            raise _Stopped(128 + _progress.raised) from None


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """End without a word, with status 141 as SIGPIPE has it, when the reader of standard output has gone."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered goes nowhere when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None


def _end(number: int, frame: Any) -> None:
    _say(number)
    if _progress.writing is not None:
        os.write(_progress.writing, bytes([_SWALLOWED]))
        return
    _silence_libraries()
    _progress.raised = number
    raise _Stopped(128 + number)


def _silence_libraries() -> None:
    """Show no traceback of what the end cuts off in other threads, such as those that write a checkpoint."""
    threading.excepthook = lambda error: None
    sys.excepthook = lambda *error: None  # By which errors of C code are printed in its threads.
    logging.disable()
    warnings.simplefilter("ignore")


def _say(number: int) -> None:
    """Say it once, from whichever thread comes first."""
    if _progress.turn.acquire(blocking=False):
        _write(number)


def _write(number: int) -> None:
    # print may be in the middle of a line right now, and must not be entered twice.
    os.write(2, f"\njaxmeta: stopped by {signal.Signals(number).name}\n".encode())
    _progress.said = True


def _make_sure(number: int) -> None:
    """Wait for the thread whose turn it is to say it, which another signal may have kept from it."""
    until = time.monotonic() + _TURN
    while _progress.turn.locked() and not _progress.said:
        if time.monotonic() > until:
            _write(number)
        time.sleep(0.001)


def _watch(reading: int) -> None:
    """Wait for a signal, and then for the end of the process or another signal."""
    while received := os.read(reading, 1):
        if received[0] not in (signal.SIGINT, signal.SIGTERM):
            continue
        if _following(reading, received[0]) == b"":
            _make_sure(received[0])
            return
        _say(received[0])
        _make_sure(received[0])
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(128 + received[0])


def _following(reading: int, number: int) -> bytes | None:
    """What comes after a signal: another one, b"" for the end of the process, or None once patience is at its end."""
    until, echoes = time.monotonic() + patience.seconds, 0
    while select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
        following = os.read(reading, 1)
        if following == bytes([_SWALLOWED]):
            echoes += 1
            time.sleep(0.01)  # until that callback is over
            os.kill(os.getpid(), number)
        elif following and following[0] == number and echoes:
            echoes -= 1
        else:
            return following
    return None
