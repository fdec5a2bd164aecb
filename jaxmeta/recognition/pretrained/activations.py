"""What a frozen part of a network gives for each recording, computed once and kept in the place of its features."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np

from jaxmeta.data.cache import open_entry, publish
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.extraction import read_chunk
from jaxmeta.files.durable import write_bytes
from jaxmeta.files.folders import cache_folder
from jaxmeta.padding import pad_rows
from jaxmeta.progress import progress_bar
from jaxmeta.training.processes import is_first, wait_for_all
from jaxmeta.types import Model, PyTree, Ragged

VERSION = 1
"""Goes into the key of the cache: raise it whenever the same recordings and networks would give other numbers."""
_STEP = 200
"""Frames that batches are padded to a multiple of, so that few programs are compiled; padding is inert."""
_CHUNK = 256
"""Recordings in a file of an unfinished cache."""
_ATTEMPTS = 3


def with_activations(
    corpus: Corpus, lower: Model, params: PyTree, *, batch: int = 8, dtype: type = np.float16
) -> Corpus:
    """The corpus with activations of a frozen part, such as `whisper_encoder(config, last=2)`, as its features.

    Samplers, losses and learners take it as any other; the part above, `whisper_encoder(config, first=2)`, learns.
    Args:
      corpus: with the features that `lower` takes, such as those of `whisper_features()`.
      lower: of Ragged features [N, T, F] to Ragged activations [N, T', D], without random layers.
      params: of `lower`; others beside them are not looked at.
      batch: recordings at once, 1 or more; those of similar length share a batch.
      dtype: of the activations, which stay in memory.
    Raises:
      ValueError: batch below 1; a recording too short for an activation.
    """
    rows = _activations(corpus, np.arange(len(corpus)), _compiled(lower, params), batch, dtype)
    return _replaced(corpus, np.concatenate(rows), np.array([len(row) for row in rows], np.int32))


def cached_activations(
    corpus: Corpus, lower: Model, params: PyTree, key: Mapping[str, object], *, batch: int = 8
) -> Corpus:
    """As `with_activations`, in float16 and memory-mapped from the cache, which is filled where it lacks them.

    A damaged entry is noticed by its hash and computed again. What an interrupted call has done is not done again.
    Args:
      corpus, lower, params, batch: as in `with_activations`; the corpus with the column `recording` of `load_corpus`.
      key: says which part of which network `lower` is, by the hash of its weights, and how the recordings were changed.
    Raises:
      ValueError: as `with_activations`. OSError: the cache cannot be written.
    """
    name = _key(corpus, key)
    entry = cache_folder("activations") / name
    partial = entry.with_name(f"{name}.partial")
    for _ in range(_ATTEMPTS):
        if (stored := open_entry(entry)) is not None:
            return _replaced(corpus, stored.frames, stored.lengths)
        try:
            paths = _write_chunks(corpus, _compiled(lower, params), partial, batch)
            publish(paths, entry, dict(key), np.float16)
        except FileNotFoundError:
            continue  # Another process published the same activations meanwhile and tidied the chunks away.
        shutil.rmtree(partial, ignore_errors=True)
    raise OSError(f"{entry}: written {_ATTEMPTS} times, and missing or damaged each time; check the disk.")


def activations_below(corpus: Corpus, lower: Model, params: PyTree, key: Mapping[str, object]) -> Corpus:
    """As `cached_activations`, for processes that train together.

    The first one fills the cache, and the others read it where they share the folder.
    """
    if not is_first():
        wait_for_all("activations")
    stored = cached_activations(corpus, lower, params, key, batch=8)
    if is_first():
        wait_for_all("activations")
    return stored


def _key(corpus: Corpus, key: Mapping[str, object]) -> str:
    config = None if corpus.config is None else asdict(corpus.config)
    recordings = [corpus.columns["recording"].tolist(), corpus.length.tolist()]
    parts = {"version": VERSION, "config": config, "recordings": recordings, "key": dict(key)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _write_chunks(corpus: Corpus, apply: Callable[[Ragged], Ragged], folder: Path, batch: int) -> list[Path]:
    """Every file of the folder in the order of the rows; those that are whole already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.arange(len(corpus))
    paths = []
    with progress_bar("activations of the base", len(corpus), unit="recordings") as advance:
        for first in range(0, len(rows), _CHUNK):
            paths.append(path := folder / f"{first:08d}.npz")
            chosen = rows[first : first + _CHUNK]
            if read_chunk(path) is None:
                values = _activations(corpus, chosen, apply, batch, np.float16)
                content = io.BytesIO()
                lengths = np.array([len(row) for row in values], np.int32)
                np.savez(content, frames=np.concatenate(values), lengths=lengths, mixed=np.array(0))
                write_bytes(path, content.getvalue())
            advance(len(chosen))
    return paths


def _activations(
    corpus: Corpus, rows: np.ndarray, apply: Callable[[Ragged], Ragged], batch: int, dtype: type
) -> list[np.ndarray]:
    """The activations of some rows of a corpus, each [T', D]."""
    if batch < 1:
        raise ValueError(f"batch must be 1 or more, got {batch}.")
    results: list[np.ndarray] = [np.zeros(0)] * len(rows)
    order = np.argsort(corpus.length[rows], kind="stable")
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        # The last batch is filled up with recordings that it has already.
        given = [_frames(corpus, row) for row in rows[np.resize(chosen, batch)].tolist()]
        speech = pad_rows(given, -(-max(map(len, given)) // _STEP) * _STEP)
        values, lengths = jax.device_get(apply(speech))
        for place, value, length in zip(chosen, values, lengths, strict=False):
            if not length:
                raise ValueError(
                    f"recording {int(rows[place])} of the corpus is too short for an activation; leave it out."
                )
            results[place] = value[:length].astype(dtype)
    return results


def _compiled(lower: Model, params: PyTree) -> Callable[[Ragged], Ragged]:
    apply = jax.jit(lambda params, speech: lower.apply(params, {}, speech, jax.random.key(0), False)[0])
    return lambda speech: apply(params, speech)


def _replaced(corpus: Corpus, frames: np.ndarray, length: np.ndarray) -> Corpus:
    start = np.cumsum(length, dtype=np.int64) - length
    return replace(corpus, frames=frames, start=start, length=length, config=None)


def _frames(corpus: Corpus, row: int) -> np.ndarray:
    return np.asarray(corpus.frames[corpus.start[row] : corpus.start[row] + corpus.length[row]])
