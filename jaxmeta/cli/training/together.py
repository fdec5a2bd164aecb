"""How several processes run a command that trains: the options by which they meet, and their shares of the features."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxmeta.cli.ranges import Count, Process

if TYPE_CHECKING:
    from jaxmeta.data.features import FeatureConfig


@dataclass(frozen=True)
class Processes:
    """Several processes that train together."""

    coordinator: str | None = None
    """HOST:PORT of the first of them, which writes; each is started by this command with a number of its own."""
    processes: Count | None = None
    """How many there are."""
    process: Process | None = None
    """The number of this one, from 0."""
    cluster: bool = False
    """Take these from Slurm, Kubernetes or MPI."""

    def joined(self) -> contextlib.AbstractContextManager[Callable[[], bool]]:
        """Train with the others within, see `training.processes.joined`."""
        from jaxmeta.training.processes import joined

        return joined(self.coordinator, self.processes, self.process, cluster=self.cluster)


@contextlib.contextmanager
def prepared_together(folders: Sequence[Path], features: FeatureConfig, roots: Sequence[Path] = ()) -> Iterator[None]:
    """Compute a share of the features of these folders; within, load them, the first process before the others.

    So of processes with one cache folder none computes what another does. One that is alone does nothing here.
    """
    import jax

    from jaxmeta.data.corpus import prepare_part
    from jaxmeta.training.processes import is_first, together, wait_for_all

    if together():
        for folder in folders:
            prepare_part(folder, features, jax.process_index(), jax.process_count(), roots)
        wait_for_all("features")
    if not is_first():
        wait_for_all("loaded")
    yield
    if is_first():
        wait_for_all("loaded")
