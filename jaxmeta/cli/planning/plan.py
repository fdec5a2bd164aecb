"""What a command would read, train and write, and about how long it would take: what --dry-run prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxmeta.cli.output import show

if TYPE_CHECKING:
    from jaxmeta.data.manifests.clips import Clip
    from jaxmeta.types import Model, PyTree

OPERATIONS = 2.5e10
"""A second, of two cores, while networks are trained."""
START = 20.0
"""Seconds to import, compile and write."""


class Reading(NamedTuple):
    """What would be read from one place."""

    name: str
    files: int
    rows: int
    """Recordings, or pieces of them; 0: the files are no recordings."""
    hours: float

    def __str__(self) -> str:
        files = f"{self.files:,} file{'s' * (self.files != 1)}"
        return f"{self.name}: {files}" + (f", {self.rows:,} rows, {self.hours:.3g} hours" if self.rows else "")


class Plan(NamedTuple):
    """What a command would do."""

    reads: Sequence[Reading]
    writes: Path
    seconds: float
    """Of processor time."""
    trains: str = ""
    """What learns; "": nothing does."""
    weights: int | None = None
    """That learn; None: not known before."""
    updates: int = 0

    def show(self, command: str, *, as_json: bool) -> None:
        """Print it."""
        trained = {"model": self.trains, "weights": self.weights, "updates": self.updates} if self.trains else None
        row: dict[str, Any] = {"dry_run": True, "reads": [each._asdict() for each in self.reads], "trains": trained}
        row |= {"writes": str(self.writes), "seconds": round(self.seconds)}
        lines = [f"would read {each}" for each in self.reads]
        if self.trains:
            weights = "" if self.weights is None else f", {self.weights:,} weights"
            lines.append(f"would train {self.trains}{weights}, {self.updates:,} updates")
        lines += [f"would write {self.writes}", f"would take about {_duration(self.seconds)} of processor time"]
        show(command, row, "\n".join(lines), as_json=as_json)


def recordings(name: str | Path, clips: Iterable[Clip]) -> Reading:
    """Recordings by the lengths that their files declare. Raises AudioError where a file declares none."""
    from jaxmeta.data.audio import declared_seconds

    clips = list(clips)
    seconds = {path: declared_seconds(path) for path in dict.fromkeys(clip.path for clip in clips)}
    lengths = [seconds[clip.path] - clip.start if clip.duration is None else clip.duration for clip in clips]
    return Reading(str(name), len(seconds), len(clips), sum(lengths) / 3600)


def audio(name: str | Path, files: Iterable[Path]) -> Reading:
    """Whole recordings, as `recordings`."""
    from jaxmeta.data.manifests.clips import as_clip

    return recordings(name, map(as_clip, files))


def folder(path: Path) -> Reading:
    """A folder of a network, or a file."""
    return Reading(str(path), sum(each.is_file() for each in path.iterdir()) if path.is_dir() else 1, 0, 0.0)


def weights_of(model: Model, features: int) -> int:
    """Numbers that a model of log-mels has, without making them."""
    import jax
    import jax.numpy as jnp

    from jaxmeta import Ragged

    inputs = Ragged(jnp.zeros((1, 64, features)), jnp.full(1, 64, jnp.int32))
    params, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def network_seconds(weights: int, frames: float, updates: int) -> float:
    """Processor time of updates of a network that uses each weight once for each frame of a batch, and back."""
    return START + updates * 6 * weights * frames / OPERATIONS


def adaptation(
    checkpoint: Path, params: PyTree, steps: int, folds: int, manifest: Path, clips: Sequence[Clip], out: Path
) -> Plan:
    """Of `jaxmeta adapt`: each part of the cross-validation adapts, and so do all recordings at the end."""
    import jax

    weights = sum(leaf.size for leaf in jax.tree.leaves(params))
    read, updates = recordings(manifest, clips), steps * (min(folds, len(clips)) + 1)
    seconds = network_seconds(weights, 360_000 * read.hours, updates)
    return Plan([folder(checkpoint), read], out, seconds, "the recogniser on one voice", weights, updates)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{math.ceil(seconds / 5) * 5} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
