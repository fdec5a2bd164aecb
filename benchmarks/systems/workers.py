"""The processes of all systems: started when first asked, started again when they have ended."""

import contextlib

from benchmarks.systems import SYSTEMS, library, process
from benchmarks.worker import Worker, WorkerError


class Workers:
    """One process a library, and one for torch.compile."""

    def __init__(self):
        self._workers = {}

    def ask(self, system, request, timeout=None, **arguments):
        """The answer of the process that a system runs in; requests that name a module get the system's."""
        name = process(system)
        if name not in self._workers or not self._workers[name].alive:
            self._workers[name] = Worker(library(system))
        if request in ("build", "supports"):
            arguments["module"] = SYSTEMS[system]
        return self._workers[name].ask(request, timeout, **arguments)

    def drop(self):
        """Let all processes forget what they have built."""
        for worker in self._workers.values():
            if worker.alive:
                with contextlib.suppress(WorkerError):
                    worker.ask("drop")

    def close(self):
        """End all processes."""
        for worker in self._workers.values():
            worker.close()
