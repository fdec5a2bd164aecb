"""Functions that run in processes with several CPU devices: JAX fixes their number when it starts."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Processes:
    """A context in which processes serve one function each, and after which they have ended."""

    def __init__(self) -> None:
        self._connections: list[Connection] = []
        self._processes: list[Any] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()  # The process then finds nobody to serve, and ends.
        for process in self._processes:
            process.join()

    def start(self, devices: int, make: Callable[[Any], Callable[[], Any]], argument: Any) -> Callable[[], None]:
        """Make a function in a new process, and return one that calls it there and waits until it is done.

        Args:
          devices: host devices of the process.
          make: argument -> function; defined at the top of a module.
          argument: of `make`; can be pickled.
        Raises:
          RuntimeError: the process ended; what failed is on standard error.
        """
        # Spawned, not forked: this process may hold JAX's threads.
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, devices, make, argument), daemon=True)
        process.start()
        there.close()
        self._connections.append(here)
        self._processes.append(process)

        def call() -> None:
            try:
                here.send(None)
                here.recv()
            except (EOFError, OSError) as error:
                raise RuntimeError(f"the process with devices={devices} ended; its error is printed above.") from error

        call()  # Wait until it has compiled.
        return call


def _serve(connection: Connection, devices: int, make: Callable[[Any], Callable[[], Any]], argument: Any) -> None:
    from jaxmeta.training.runtime import prepare

    prepare(devices=devices)
    run = make(argument)
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        run()
        connection.send(None)
