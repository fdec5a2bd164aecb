"""Several processes that train together, on one machine or many: how they meet, and how all end when one does.

`jax.distributed` is the engine. Each process runs the same program; the first one writes checkpoints, logs and results
(`training.sharing` has what they share). A process that fails or dies ends the others within `LIMIT` seconds and a few
more, and they say which one it was.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax

from jaxmeta.interrupts import Interrupted

LIMIT = 12.0
"""Seconds without a sign of life after which a process counts as dead."""
_PERIOD = 1.0
"""Seconds between two signs of life."""
_PARTING = 30
"""Seconds that processes wait for each other when they part."""
_MEETING = 300
"""Seconds that processes wait for each other before they train."""
_FOREVER = 30 * 24 * 3600
_SPACE = "jaxmeta"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@contextlib.contextmanager
def joined(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None, *, cluster: bool = False
) -> Iterator[Callable[[], bool]]:
    """Let this process train with others: call it once, before anything runs on a device.

    With no arguments this process trains alone, and nothing is started.

    Args:
      coordinator: HOST:PORT of the first process, where the others can reach it.
      processes: their number, 1 or more.
      process: the number of this one, from 0.
      cluster: take what is not given from Slurm, Kubernetes or MPI, as `jax.distributed` finds it.
    Yields:
      leave: call it in all processes once training is over. It waits for the others, and says whether this is the
        process that goes on alone, to test and to write results.
    Raises:
      ValueError: some of the three are missing, or do not fit together.
      RuntimeError: the others have not come within five minutes, or JAX has started already.
    """
    given = (coordinator, processes, process)
    if given == (None, None, None) and not cluster:
        yield lambda: True
        return
    _check(coordinator, processes, process, cluster)
    host = "" if coordinator is None else coordinator.rpartition(":")[0]
    jax.distributed.initialize(
        *given, coordinator_bind_address=coordinator if host in _LOOPBACK else None,
        initialization_timeout=_MEETING, shutdown_timeout_seconds=_PARTING,
    )  # fmt: skip
    with _naming_the_coordinator(), _Watch() as watch:
        try:
            yield watch.leave
        except Interrupted:  # All of them stop at the same update.
            watch.leave()
            raise
        except BaseException as error:
            watch.tell(error)
            raise
        watch.leave()


def together() -> bool:
    """Whether this process trains with others."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def stop(number: int, where: str) -> NoReturn:
    """End this process after a signal of that number; the first one says what is saved."""
    if is_first():
        print(f"{signal.Signals(number).name}: saved {where}; the same command resumes.", file=sys.stderr, flush=True)
    raise Interrupted(128 + number)


def is_first() -> bool:
    """Whether this process writes checkpoints, logs and results: the first one, or one that is alone."""
    return not together() or jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Wait until every process has come here, however long it takes; alone, do not wait.

    Args:
      name: of the place; every process comes to the same places in the same order.
    """
    if together():
        _places[name] = _places.get(name, 0) + 1
        _store().wait_at_barrier(f"{_SPACE}/{name}/{_places[name]}", 1000 * _FOREVER)


def _store() -> Any:
    """The key-value store of the coordinator, which has no public name."""
    from jax._src.distributed import global_state

    return global_state.client


_places: dict[str, int] = {}
"""How often processes have waited for each other, by the name of the place."""


class _Watch:
    """Signs of life of all processes, by the key-value store of the coordinator."""

    def __init__(self) -> None:
        self._client = _store()
        self._index, self._count = jax.process_index(), jax.process_count()
        self._left = threading.Event()
        self._seen: dict[str, tuple[str, float]] = {}
        self._names: dict[str, str] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Watch":
        self._set("name", f"process {self._index} of {self._count} ({socket.gethostname()}, pid {os.getpid()})")
        for index in range(self._count):
            self._names[str(index)] = self._client.blocking_key_value_get(f"{_SPACE}/name/{index}", 1000 * _MEETING)
        _names.update(self._names)
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._left.set()

    def leave(self) -> bool:
        """Wait for the others, and part; whether this is the first process."""
        if not self._left.is_set():
            wait_for_all("leave")
            self._left.set()
            self._thread.join()
            jax.distributed.shutdown()
        return self._index == 0

    def tell(self, error: BaseException) -> None:
        """Tell the others why this process ends; or, where its error is that another one died, wait for its name."""
        if self._left.is_set():
            return
        if "Gloo" in str(error) or isinstance(error, jax.errors.JaxRuntimeError):
            self._left.wait(LIMIT + 3 * _PERIOD)  # The watch ends this process if it finds who it was.
        self._left.set()
        self._set("failed", f"{type(error).__name__}: {error}"[:1000])
        _shut_down()  # Waits until the others have read it.

    def _set(self, what: str, value: str) -> None:
        self._client.key_value_set(f"{_SPACE}/{what}/{self._index}", value, True)

    def _watch(self) -> None:
        beat = 0
        while not self._left.wait(_PERIOD):
            beat += 1
            try:
                self._set("alive", str(beat))
                alive = self._client.key_value_dir_get(f"{_SPACE}/alive/")
                failed = self._client.key_value_dir_get(f"{_SPACE}/failed/")
            except jax.errors.JaxRuntimeError:
                if not self._left.is_set():
                    _end(f"{self._names['0']} cannot be reached")
                return
            for key, why in failed:
                # The process that failed waits for this.
                _shut_down()
                _end(f"{self._names[key.rpartition('/')[2]]} failed: {why}")
            self._judge({key.rpartition("/")[2]: value for key, value in alive})

    def _judge(self, alive: dict[str, str]) -> None:
        now = time.monotonic()
        for index, name in self._names.items():
            value = alive.get(index, "")
            if self._seen.get(index, (None, 0.0))[0] != value:
                self._seen[index] = value, now
            elif now - self._seen[index][1] > LIMIT:
                self._end_in_turn(f"{name} has died: there was no sign of life for {LIMIT:g} s")

    def _end_in_turn(self, why: str) -> None:
        """End; the coordinator last, for the others would name it otherwise."""
        self._set("gone", "")
        until = time.monotonic() + LIMIT
        while self._index == 0 and time.monotonic() < until:
            if len(self._client.key_value_dir_get(f"{_SPACE}/gone/")) >= self._count - 1:
                break
            time.sleep(_PERIOD / 4)
        _end(why)


_names: dict[str, str] = {}


def _end(why: str) -> None:
    """End this process at once, for another one is gone: what it waits for will never come."""
    os.write(2, f"\njaxmeta: {why}; this process ends too. The same command resumes.\n".encode())
    os._exit(1)


def _shut_down() -> None:
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # Some process does not answer any more.
        jax.distributed.shutdown()


@contextlib.contextmanager
def _naming_the_coordinator() -> Iterator[None]:
    """JAX aborts a process, from C code, as soon as the first one is gone: say which one that was before."""

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def on_abort(number: int) -> None:
        _end(f"{_names.get('0', 'process 0')} has died")

    set_handler = ctypes.CDLL(None).signal
    set_handler.restype, set_handler.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    before = set_handler(int(signal.SIGABRT), ctypes.cast(on_abort, ctypes.c_void_p))
    try:
        yield
    finally:
        set_handler(int(signal.SIGABRT), before)


def _check(coordinator: str | None, processes: int | None, process: int | None, cluster: bool) -> None:
    given = {"coordinator": coordinator, "processes": processes, "process": process}
    missing = [name for name, value in given.items() if value is None]
    if missing and not cluster:
        raise ValueError(
            f"{' and '.join(missing)} must be given too, or cluster, to take them from Slurm, Kubernetes or MPI."
        )
    if coordinator is not None and not coordinator.rpartition(":")[2].isdecimal():
        raise ValueError(f"coordinator must be HOST:PORT, got {coordinator!r}.")
    if processes is not None and process is not None and not 0 <= process < processes:
        raise ValueError(f"process must lie in [0, processes={processes}), got {process}.")
