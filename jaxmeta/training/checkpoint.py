"""Checkpoints: the whole TrainState, written by orbax, sealed with SHA-256 hashes, and put in place at once.

orbax loads a flipped bit without a word, and its saving is not flushed to the disk. So a checkpoint is read back and
flushed before it counts, and its hashes are checked before it is trusted. One process writes; `step_0000000100` holds

    state/          the arrays, as orbax writes them
    leaves.json     name, shape and dtype of every array
    manifest.json   SHA-256 of every file above
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.files.durable import sync
from jaxmeta.training.update import TrainState

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

_PAYLOAD, _LEAVES, _MANIFEST = "state", "leaves.json", "manifest.json"
_log = logging.getLogger("jaxmeta")


class CheckpointError(ValueError):
    """A checkpoint is damaged, or belongs to another model, learner or optimizer."""


class Validation(NamedTuple):
    """How to find the best state of a run."""

    score: Callable[[TrainState], float]
    """Higher is better. It must depend on the state alone, so that a resumed run judges alike."""
    every: int
    """Steps between two scores, 1 or more."""


def save(directory: str | Path, train: TrainState, *, keep: int = 3) -> Path:
    """Write `train` to `directory/step_<step>`, durable once this returns, then delete the oldest.

    Args:
      directory: folder of checkpoints; created if missing.
      train: the state to keep; leaves are arrays, typed PRNG keys or numbers.
      keep: how many checkpoints stay, 1 or more.
    Returns:
      The folder of this checkpoint.
    Raises:
      ValueError: keep below 1.
      OSError: it could not be written (a full disk); earlier checkpoints are untouched.
    """
    if keep < 1:
        raise ValueError(f"save(keep={keep}) would keep no checkpoint; use 1 or more.")
    directory = Path(directory).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    for leftover in directory.glob(".step_*"):
        shutil.rmtree(leftover)
    target = directory / f"step_{int(train.step):010d}"
    draft = directory / f".{target.name}.draft"
    try:
        _write(draft, train)
    except (OSError, ValueError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        said = f"cannot write this checkpoint; earlier ones are untouched: {error}"
        raise OSError(_number(error), said, str(target)) from error
    _put_in_place(draft, target)
    # Later steps may lie here, damaged, when training fell back: they are no reason to delete what is before them.
    done = [folder for folder in checkpoints(directory) if folder.name <= target.name]
    for folder in done[:-keep]:
        shutil.rmtree(folder)
    return target


def restore(directory: str | Path, like: TrainState) -> TrainState | None:
    """The newest checkpoint that is undamaged, or None where there is none at all.

    Every damaged one that is passed over is named, with the file at fault, in a warning of the logger "jaxmeta".

    Args:
      directory: folder of checkpoints; need not exist.
      like: a state of the same structure, shapes and dtypes, such as a fresh one; its values are not used. Arrays go
        to its devices.
    Raises:
      CheckpointError: all checkpoints are damaged, or a leaf differs from that of `like`.
    """
    bad = []
    for folder in reversed(checkpoints(directory)):
        damage = verify(folder)
        if not damage:
            return _read(folder, like)
        bad.append(f"{folder.name}: {', '.join(damage)}")
        _log.warning("checkpoint %s is damaged (%s); trying the one before it.", folder, ", ".join(damage))
    if bad:
        raise CheckpointError(
            f"all checkpoints in {directory} are damaged ({'; '.join(bad)}); "
            "bring one back from a copy, or delete the folder to start from step 0."
        )
    return None


def checkpoints(directory: str | Path) -> list[Path]:
    """Folders of the checkpoints in a directory, oldest first; damaged ones too."""
    return sorted(path for path in Path(directory).absolute().glob("step_*") if path.is_dir())


def verify(folder: Path) -> list[str]:
    """What is wrong with a checkpoint's files, one phrase a file; empty if nothing is."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
    except FileNotFoundError:
        return [f"{_MANIFEST} is missing"]
    except (OSError, ValueError) as error:
        return [f"{_MANIFEST} cannot be read: {error}"]
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), dict):
        return [f"{_MANIFEST} holds no hashes"]
    expected, present = manifest["sha256"], _files(folder)
    wrong = [f"{name} is missing" for name in sorted(expected.keys() - present.keys())]
    wrong += [f"{name} does not belong there" for name in sorted(present.keys() - expected.keys())]
    for name in sorted(expected.keys() & present.keys()):
        try:
            same = _sha256(present[name]) == expected[name]
        except OSError as error:
            wrong.append(f"{name} cannot be read: {error}")
        else:
            wrong += [] if same else [f"{name} has changed since it was written"]
    return wrong


class _AbandonedWrites:
    """A hook for errors that nobody can catch: drops those of writes whose saving has failed or was interrupted.

    tensorstore tells its threads' results to an event loop that is closed by then.
    """

    def __init__(self, before: Callable[[Any], Any]) -> None:
        self.before = before

    def __call__(self, error: Any) -> None:
        if not (isinstance(error.exc_value, RuntimeError) and str(error.exc_value) == "Event loop is closed"):
            self.before(error)


def _write(draft: Path, train: TrainState) -> None:
    """Write, read back, seal and flush a checkpoint."""
    if not isinstance(sys.unraisablehook, _AbandonedWrites):
        sys.unraisablehook = _AbandonedWrites(sys.unraisablehook)
    draft.mkdir()
    leaves = _named(train)
    arrays = {name: _to_numpy(leaf) for name, leaf in leaves.items()}
    with _quiet(), _checkpointer() as checkpointer:
        # orbax refuses arrays without elements; leaves.json says all there is to know about them.
        checkpointer.save(draft / _PAYLOAD, {name: array for name, array in arrays.items() if array.size})
    stored = _payload(draft)
    for name, array in arrays.items():
        if array.size and stored[name].tobytes() != array.tobytes():
            raise OSError(f"{name} reads back with other values than were written")
    _write_json(draft / _LEAVES, {name: _describe(leaf) for name, leaf in leaves.items()})
    _write_json(draft / _MANIFEST, {"sha256": {name: _sha256(path) for name, path in _files(draft).items()}})
    for path in draft.rglob("*"):
        sync(path)
    sync(draft)


def _number(error: OSError | ValueError) -> int:
    """The number of an error of the system, which tensorstore gives as text alone."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    return errno.ENOSPC if os.strerror(errno.ENOSPC) in str(error) else errno.EIO


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def _put_in_place(draft: Path, target: Path) -> None:
    if target.exists():  # of the same step, damaged or written by an earlier call; a folder cannot be replaced at once
        old = target.with_name(f".{target.name}.old")
        target.rename(old)
        draft.rename(target)
        shutil.rmtree(old)
    else:
        draft.rename(target)
    sync(target.parent)


def _read(folder: Path, like: TrainState) -> TrainState:
    saved = json.loads((folder / _LEAVES).read_bytes())
    wanted = _named(like)
    _check_same(folder, saved, {name: _describe(leaf) for name, leaf in wanted.items()})
    stored = _payload(folder)
    empty = np.empty(0, np.uint8)
    arrays = [_like(leaf, stored.get(name, empty), saved[name]) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(like), arrays)


def _payload(folder: Path) -> dict[str, np.ndarray]:
    with _quiet(), _checkpointer() as checkpointer:
        return checkpointer.restore(folder / _PAYLOAD)


def _checkpointer() -> "ocp.Checkpointer":
    """Of this process alone: orbax would otherwise wait for the others."""
    import orbax.checkpoint as ocp  # Imported late: training begins without it.

    if jax.process_count() == 1:
        return ocp.PyTreeCheckpointer()
    here = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"process_{here}"
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def _check_same(folder: Path, saved: dict[str, dict], wanted: dict[str, dict]) -> None:
    def show(leaf: dict) -> str:
        return f"{leaf['dtype']}{leaf['shape']}" + (f" {leaf['key']}" if leaf["key"] else "")

    wrong = [f"{name} is {show(saved[name])} there and not here" for name in saved if name not in wanted]
    wrong += [f"{name} is {show(wanted[name])} here and not there" for name in wanted if name not in saved]
    wrong += [
        f"{name} is {show(saved[name])} there and {show(wanted[name])} here"
        for name in saved
        if name in wanted and saved[name] != wanted[name]
    ]
    if wrong:
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise CheckpointError(
            f"checkpoint {folder} belongs to another model, learner or optimizer: {'; '.join(wrong[:5])}{more}. "
            "Use the same ones, or another directory."
        )


def _named(train: Any) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(train)
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves}


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(leaf: Any) -> dict[str, Any]:
    key = str(jax.random.key_impl(leaf)) if _is_key(leaf) else None
    dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
    return {"shape": list(np.shape(leaf)), "dtype": str(dtype), "key": key}


def _to_numpy(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _like(leaf: Any, array: np.ndarray, saved: dict[str, Any]) -> Any:
    """The stored array as a leaf of the same kind, on the same devices."""
    if _is_key(leaf):
        value = jax.random.wrap_key_data(jnp.array(array), impl=saved["key"])
    else:
        array = array if array.size else np.empty(saved["shape"], saved["dtype"])
        if not isinstance(leaf, jax.Array):
            return array if isinstance(leaf, np.ndarray) else array.item()
        value = jnp.array(array)
    # An uncommitted array may still move to wherever the next computation runs; keep it so.
    return jax.device_put(value, leaf.sharding) if leaf.committed else value


def _files(folder: Path) -> dict[str, Path]:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    paths.pop(_MANIFEST, None)
    return paths


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence orbax's account of itself; what goes wrong is raised as well as logged."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
