"""How several processes prepare the recordings of a command that trains: each its share of the features."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxmeta.data.features import FeatureConfig


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
