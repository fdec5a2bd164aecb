"""How commands end: statuses, signals that are obeyed while Python cannot, and readers that go away."""

import errno
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from jaxmeta.cli.endings import OUT_OF_MEMORY, PartlyDoneError, status_of
from jaxmeta.cli.main import SUBCOMMANDS, main
from jaxmeta.training.health import DivergedError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("a row"), 2),
        (FileNotFoundError(errno.ENOENT, "no file"), 2),
        (ImportError("an extra"), 2),
        (PartlyDoneError("1 of 3 files"), 3),
        (DivergedError("a run"), 4),
        (OSError(errno.ENOSPC, "full"), 74),
        (OSError(errno.EROFS, "read-only"), 74),
    ],
)
def test_each_kind_of_error_has_its_status(error, status):
    assert status_of(error) == status


def test_a_cache_that_cannot_be_written_has_the_status_of_writing(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXMETA_HOME", str(tmp_path / "cache"))
    assert status_of(PermissionError(errno.EACCES, "denied", str(tmp_path / "cache" / "features"))) == 74
    assert status_of(PermissionError(errno.EACCES, "denied", str(tmp_path / "a.wav"))) == 2


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), True),
        (RuntimeError("a shape"), False),
    ],
)
def test_a_command_that_runs_out_of_memory_says_what_to_do(monkeypatch, capsys, error, memory):
    def transcribe() -> None:
        raise error

    monkeypatch.setitem(SUBCOMMANDS, "transcribe", transcribe)
    with pytest.raises(SystemExit if memory else RuntimeError) as stop:
        main(["transcribe"])
    if memory:
        assert stop.value.code == 2 and capsys.readouterr().err == f"jaxmeta: {OUT_OF_MEMORY}\n"


@contextmanager
def command(body):
    """A process in which this runs as a command, once it has said "ready"."""
    script = f"""
import asyncio, hashlib, signal, sys, threading, time, weakref
from jaxmeta.cli.endings import prompt_signals, quiet_pipe
from jaxmeta.interrupts import collected_signals, patience
patience.seconds = 0.5
signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell ignores it in the background.
with prompt_signals(), quiet_pipe():
    {body}
"""
    started = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert started.stdout.readline() == b"ready\n"
        yield started
    finally:
        started.kill()
        started.communicate()


READY = "threading.Timer(0.2, print, ['ready'], {'flush': True}).start()"
STUCK = f"{READY}; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"
"""Minutes within one operation, which Python cannot interrupt, as a compilation is."""


COLLECTED = """weakrefs = []
    class Slow:
        pass
    def callback(reference):
        print('ready', flush=True)
        time.sleep(0.5)
    thing = Slow()
    weakrefs.append(weakref.ref(thing, callback))
    del thing
    time.sleep(600)"""
"""A callback of the interpreter, which swallows what is raised in it."""
CUT_OFF = """loop = asyncio.new_event_loop()
    def give():
        time.sleep(0.5)
        loop.call_soon_threadsafe(print)
    threading.Thread(target=give).start()
    try:
        print('ready', flush=True)
        time.sleep(600)
    finally:
        loop.close()"""
"""A thread that has nobody left to give its result to, as those that write checkpoints."""
PRINTED = f"""try:
        {READY}; time.sleep(600)
    finally:
        try:
            [].pop()
        except IndexError:
            sys.excepthook(*sys.exc_info())"""
"""C code that has nobody left to give its result to: it prints its error, and Python has it printed by this hook."""
REPLACED = f"""try:
        {READY}; time.sleep(600)
    except BaseException:
        raise ImportError('initialization failed') from None"""
"""An extension whose import the signal comes into: C code raises an error of its own."""


@pytest.mark.parametrize(
    ("number", "body"),
    [
        (signal.SIGTERM, STUCK),
        (signal.SIGINT, STUCK),
        (signal.SIGTERM, f"{READY}; time.sleep(600)"),
        (signal.SIGINT, f"with collected_signals(): {STUCK}"),
        (signal.SIGTERM, COLLECTED),
        (signal.SIGTERM, CUT_OFF),
        (signal.SIGTERM, PRINTED),
        (signal.SIGTERM, REPLACED),
    ],
    ids=["stuck", "stuck-interrupt", "python", "training", "callback", "thread", "printed", "import"],
)
def test_a_signal_ends_a_command_with_a_line_whatever_it_does(number, body):
    with command(body) as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    lines = said.decode().split("\n")
    assert lines.count(f"jaxmeta: stopped by {number.name}") == 1 and "Traceback" not in said.decode()


def test_a_second_signal_ends_it_at_once():
    with command(f"patience.seconds = 600; {STUCK}") as process:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode in (128 + signal.SIGTERM, 128 + signal.SIGINT)


def test_a_reader_that_goes_away_ends_it_without_a_word():
    with command("print('ready', flush=True); [print('line' * 100) for _ in range(10**7)]") as process:
        process.stdout.close()
        said = process.stderr.read()
        process.wait(timeout=60)
    assert (process.returncode, said) == (128 + signal.SIGPIPE, b"")
