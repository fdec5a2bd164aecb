"""A cache of features, keyed by the content of the audio and by the config, memory-mapped and never half-written.

`features/KEY/` in the cache folder holds `frames.npy`, `lengths.npy` and `meta.json`, and appears by one rename once
everything is on the disk. Until then the chunks lie in `features/KEY.partial/`, where the next run finds them.
"""

import hashlib
import io
import json
import logging
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.audio import AudioError
from jaxmeta.data.extraction import Chunk, WaveformTransform, extract_chunks, read_chunk
from jaxmeta.data.features import VERSION, FeatureConfig, cached_form
from jaxmeta.data.manifest import Manifest
from jaxmeta.files.durable import DAMAGE, naming, sync, write_bytes
from jaxmeta.files.folders import cache_folder

_ATTEMPTS = 3
_log = logging.getLogger("jaxmeta")


class Features(NamedTuple):
    """Features of all recordings of a manifest, one after another."""

    frames: np.ndarray
    """[total, F] float32, memory-mapped and read-only."""
    lengths: np.ndarray
    """[R * copies] int32, frames of each recording, copies of a recording side by side."""
    mixed: int
    """Recordings that had several channels and were mixed down."""


def cached_features(
    manifest: Manifest,
    hashes: Sequence[str],
    config: FeatureConfig,
    *,
    transform: WaveformTransform | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Features:
    """Opens the features of a manifest, computing them where the cache does not hold them whole and unchanged.

    Args:
      hashes: SHA-256 of each file, from `content_hashes`.
      config: `normalize="corpus"` is cached like "none", since the statistics may come from another corpus.
      transform: change to the waveforms before the features are taken.
      workers: processes to compute with; 1 computes in this one, None takes what the machine and the work allow.
      progress: show progress on standard error.
    Raises:
      AudioError: a recording cannot be used; names manifest, row and file, and leaves nothing in the cache.
    """
    config = cached_form(config)
    key = feature_key(hashes, config, transform)
    entry = cache_folder("features") / key
    partial = entry.with_name(f"{key}.partial")
    for _ in range(_ATTEMPTS):
        features = open_entry(entry)
        if features is not None:
            return features
        if entry.exists():
            _log.warning("%s: damaged cache entry; computing the features again.", entry)
        try:
            paths = extract_chunks(partial, manifest, hashes, config, transform, workers, progress)
            publish(paths, entry, asdict(config))
        except AudioError:
            shutil.rmtree(partial, ignore_errors=True)  # The mended file will have another hash, and so another key.
            raise
        except FileNotFoundError:
            continue  # Another process published the same features meanwhile and tidied the chunks away.
        shutil.rmtree(partial, ignore_errors=True)
    raise OSError(f"{entry}: written {_ATTEMPTS} times, and missing or damaged each time; check the disk.")


def compute_part(manifest: Manifest, hashes: Sequence[str], config: FeatureConfig, index: int, count: int) -> None:
    """Compute a part of a manifest's features, by the hashes of recordings, where the cache does not hold them.

    `cached_features` finds it afterwards. So `count` processes, each with its index, share the work where they share
    the cache folder; where they do not, each has still to compute the rest.
    Raises: as `cached_features`.
    """
    config = cached_form(config)
    entry = cache_folder("features") / feature_key(hashes, config)
    if open_entry(entry) is None:
        partial = entry.with_name(f"{entry.name}.partial")
        extract_chunks(partial, manifest, hashes, config, None, None, True, (index, count))


def cached_array(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """The array in a file (.npz) of the cache, or what is computed and put there: where it is missing or damaged.

    Raises:
      OSError: it could not be written.
    """
    try:
        with path.open("rb") as file, np.load(file) as stored:  # The archive holds a checksum.
            return stored["values"]
    except DAMAGE:
        values = compute()
    content = io.BytesIO()
    np.savez(content, values=values)
    write_bytes(path, content.getvalue())
    return values


def feature_key(hashes: Iterable[str], config: FeatureConfig, transform: WaveformTransform | None = None) -> str:
    """SHA-256 (hex) of all that the features depend on: contents in order, config, transform, version of the code."""
    change = None if transform is None else [transform.name, transform.copies, transform.seed]
    parts = {"version": VERSION, "config": asdict(config), "transform": change, "audio": list(hashes)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def open_entry(entry: Path) -> Features | None:
    """The entry, or None where there is none or it is not what was written."""
    try:
        meta = json.loads((entry / "meta.json").read_bytes())
        frames = np.load(entry / "frames.npy", mmap_mode="r")
        lengths = np.load(entry / "lengths.npy")
        # One flipped bit would load in silence. Hashing costs 50 ms for 10,000 words and warms the page cache.
        whole = meta.pop("sha256") == _digest_of_meta(meta)
        whole = whole and meta["frames"] == _digest(frames) and meta["lengths"] == _digest(lengths)
        mixed = int(meta["mixed"])
    except DAMAGE:
        return None
    return Features(frames, lengths, mixed) if whole else None


def _digest(array: np.ndarray) -> str:
    """Hash of an array's shape, type and values."""
    digest = _digest_of_form(array.shape, array.dtype)
    digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()


def _digest_of_form(shape: tuple[int, ...], dtype: np.dtype) -> "hashlib._Hash":
    return hashlib.sha256(f"{shape} {dtype.str}".encode())


def _digest_of_meta(meta: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def publish(paths: list[Path], entry: Path, config: Mapping[str, object], dtype: type = np.float32) -> None:
    """Joins chunks beside them, then moves the result to its place by a rename.

    Args:
      paths: of the chunks, in order, in a folder of their own.
      entry: where the result goes; `open_entry` reads it.
      config: what the frames are, for people.
      dtype: of the frames.
    Raises:
      FileNotFoundError: a chunk is gone or damaged.
    """
    folder = paths[0].parent / f"joined.{uuid.uuid4().hex}"
    folder.mkdir()
    lengths = np.concatenate([_chunk(path).lengths for path in paths])
    with naming(folder / "lengths.npy"):
        np.save(folder / "lengths.npy", lengths)
    shape = (int(lengths.sum(dtype=np.int64)), _chunk(paths[0]).frames.shape[1])
    digest, mixed = _join(paths, folder / "frames.npy", shape, np.dtype(dtype))
    meta = {"frames": digest, "lengths": _digest(lengths), "mixed": mixed, "config": dict(config)}
    with naming(folder / "meta.json"):
        (folder / "meta.json").write_text(json.dumps(meta | {"sha256": _digest_of_meta(meta)}, indent=1))
    for name in ("frames.npy", "lengths.npy", "meta.json", "."):
        with naming(folder / name):
            sync(folder / name)
    if open_entry(entry) is None and entry.exists():
        entry.rename(folder.with_name(f"damaged.{uuid.uuid4().hex}"))
    try:
        folder.rename(entry)
    except OSError:
        if not entry.exists():  # Else another process was faster, and its features are the same.
            raise
    sync(entry.parent)


def _join(paths: list[Path], target: Path, shape: tuple[int, int], dtype: np.dtype) -> tuple[str, int]:
    """Writes the frames of all chunks as one array; returns its digest, and the number of recordings mixed down."""
    mixed = 0
    digest = _digest_of_form(shape, dtype)
    # Bytes, not a memory map: on a full disk, writing through a map ends the process by SIGBUS.
    with naming(target), target.open("wb") as file:
        form = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, form)
        for path in paths:
            chunk = _chunk(path)
            values = np.ascontiguousarray(chunk.frames, dtype)
            file.write(values.data.cast("B"))
            digest.update(values.data.cast("B"))
            mixed += chunk.mixed
    return digest.hexdigest(), mixed


def _chunk(path: Path) -> Chunk:
    chunk = read_chunk(path)
    if chunk is None:
        raise FileNotFoundError(f"{path}: gone or damaged while the features were joined; run again.")
    return chunk
