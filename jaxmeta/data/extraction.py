"""Features of many recordings by several processes, written in chunks so that an interrupted run loses little."""

import io
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.audio import AudioError, decode
from jaxmeta.data.features import FeatureConfig, extract, mel_filters
from jaxmeta.data.manifest import Manifest
from jaxmeta.data.manifests.clips import Clip
from jaxmeta.files.durable import DAMAGE, write_bytes
from jaxmeta.progress import progress_bar

CHUNK = 64
"""Recordings in a chunk: about a tenth of a second of work for recordings of one second."""
_WORTH_A_PROCESS = 1024
"""Recordings for each process below which starting it takes longer than the work."""


class WaveformTransform(NamedTuple):
    """A change to waveforms before their features are taken, such as augmentation done once."""

    name: str
    """Says which function with which settings this is; goes into the cache key, so change it with either."""
    apply: Callable[[np.ndarray, np.random.Generator, int], np.ndarray]
    """(waveform [S], rng, sample rate in Hz) -> waveform; pure, defined at the top of a module."""
    copies: int = 1
    """Rows that each recording becomes, each with its own random numbers."""
    seed: int = 0
    """The random numbers of a copy depend on this, the content of the file and the number of the copy."""


class Chunk(NamedTuple):
    """Features of consecutive recordings."""

    frames: np.ndarray
    """[total, F] float32."""
    lengths: np.ndarray
    """[n * copies] int32."""
    mixed: int
    """Recordings that had several channels."""


class _Task(NamedTuple):
    path: Path
    rows: list[tuple[Clip, str, str]]
    """Audio, its SHA-256, and its place in the manifest."""
    config: FeatureConfig
    transform: WaveformTransform | None


def extract_chunks(
    folder: Path,
    manifest: Manifest,
    hashes: Sequence[str],
    config: FeatureConfig,
    transform: WaveformTransform | None,
    workers: int | None,
    progress: bool,
    part: tuple[int, int] = (0, 1),
) -> list[Path]:
    """Makes every chunk file that is not yet in the folder, and returns all of them in row order.

    Args:
      workers: number of processes; 1 works in this one, None takes as many as there are processors and work for.
      part: (index, count) makes only the chunks whose first recording has a hash of this index modulo count.
    Raises:
      AudioError: a recording cannot be used; names its row, and removes nothing that is complete.
    """
    mel_filters(config.sample_rate, config.n_fft, config.n_mels, config.fmin, config.fmax)  # Fail before any work.
    places = [manifest.where(row) for row in range(len(hashes))]
    rows = list(zip(manifest.clips(), hashes, places, strict=True))
    blocks = [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
    tasks = [_Task(folder / f"{i:06d}.npz", block, config, transform) for i, block in enumerate(blocks)]
    index, count = part
    own = [task for task in tasks if count == 1 or int(task.rows[0][1], 16) % count == index]
    missing = [task for task in own if read_chunk(task.path) is None]
    todo = sum(len(task.rows) for task in missing)
    folder.mkdir(parents=True, exist_ok=True)
    workers = min(_processors(), todo // _WORTH_A_PROCESS) if workers is None else workers
    with progress_bar(f"features of {manifest.root.name}", todo, progress, unit="recordings") as advance:
        if workers <= 1 or len(missing) == 1:
            for task in missing:
                advance(_write_chunk(task))
        elif missing:
            _in_processes(missing, workers, advance)
    return [task.path for task in tasks]


def read_chunk(path: Path) -> Chunk | None:
    """A chunk file, or None where it is missing or damaged (the archive holds a checksum of each array)."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            chunk = Chunk(arrays["frames"], arrays["lengths"], int(arrays["mixed"]))
    except DAMAGE:
        return None
    return chunk if chunk.lengths.sum() == len(chunk.frames) else None


def _in_processes(tasks: list[_Task], workers: int, advance: Callable[[int], None]) -> None:
    # Spawned, never forked: the parent may hold JAX's threads and their locks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_start_worker)
    try:
        for done in pool.map(_write_chunk, tasks):
            advance(done)
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a process that computes features ended. Was this called at the top of a script? Put the call under "
            "`if __name__ == '__main__':`, or pass workers=1 to see what fails."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leaves Ctrl-C to the parent, and ends with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_chunk(task: _Task) -> int:
    """Computes one chunk and puts its file in place in one step; returns the number of recordings."""
    parts, mixed = [], 0
    for clip, digest, place in task.rows:
        try:
            recording = decode(clip, task.config.sample_rate)
            parts += [extract(copy, task.config) for copy in _copies(recording.waveform, digest, task)]
        except (ValueError, MemoryError) as error:
            raise AudioError(f"{place}: {error if clip.path in str(error) else f'{clip.path}: {error}'}") from error
        mixed += recording.channels > 1
    lengths = np.array([len(part) for part in parts], dtype=np.int32)
    task.path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()  # On a full disk an archive would fail once more as it is closed, by another error.
    np.savez(content, frames=np.concatenate(parts), lengths=lengths, mixed=np.array(mixed))
    write_bytes(task.path, content.getvalue())
    return len(task.rows)


def _copies(waveform: np.ndarray, digest: str, task: _Task) -> list[np.ndarray]:
    transform, rate = task.transform, task.config.sample_rate
    if transform is None:
        return [waveform]
    seeds = [(transform.seed, int(digest[:16], 16), copy) for copy in range(transform.copies)]
    return [transform.apply(waveform, np.random.default_rng(seed), rate) for seed in seeds]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
