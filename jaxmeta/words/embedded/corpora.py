"""Corpora of embedded recordings: each recording is embedded once, and the result stays in the cache folder."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from jaxmeta.data.audio import AudioError, read_audio
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.file_hashes import content_hashes
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.manifests.clips import Clip
from jaxmeta.data.sampling.padding import round_up
from jaxmeta.files.durable import DAMAGE, replacing
from jaxmeta.files.folders import cache_folder
from jaxmeta.progress import progress_bar
from jaxmeta.types import Ragged
from jaxmeta.words.embedded.embeddings import RATE, Embedding

_BATCH = 64


def embed_corpus(folder: Path, embedding: Embedding) -> Corpus:
    """A manifest whose recordings are embedded: S frames of D numbers each, whatever their duration.

    Args:
      folder: a manifest (see `read_manifest`).
      embedding: what embeds; its vectors are cached under its weights and the content of the recordings.
    Raises:
      ManifestError, AudioError: as `read_manifest` and `read_audio`; the latter names the row.
    """
    manifest = read_manifest(folder)
    hashes = content_hashes(manifest)
    fingerprint = hashlib.sha256(" ".join([embedding.digest, *hashes]).encode()).hexdigest()
    path = cache_folder("embeddings") / f"{fingerprint}.npz"
    vectors = _read(path)
    if vectors is None:
        places = [manifest.where(row) for row in range(len(hashes))]
        rounded = _embed(manifest.clips(), places, embedding, folder.resolve().name)
        with replacing(path) as draft:
            np.savez(draft, vectors=rounded)
        vectors = rounded.astype(np.float32)  # As `_read` gives them, so that a second run computes with the same type.
    rows, frames, size = vectors.shape
    columns = {"recording": np.array(hashes, dtype="U16"), **manifest.columns}
    length = np.full(rows, frames, np.int32)
    return Corpus(vectors.reshape(-1, size), np.arange(rows) * frames, length, columns, fingerprint[:16])


def _read(path: Path) -> np.ndarray | None:
    """Vectors [R, S, D] of the cache; None where there are none, or they are damaged: zip files hold checksums."""
    try:
        # Opened here: np.load leaves a file open whose contents are damaged.
        with path.open("rb") as file, np.load(file) as cached:
            return cached["vectors"].astype(np.float32)
    except DAMAGE:
        return None


def _embed(clips: Sequence[Clip], places: Sequence[str], embedding: Embedding, name: str) -> np.ndarray:
    """[R, S, D] in float16, which is far finer than embeddings of two recordings of a word agree."""

    def features(row: int) -> np.ndarray:
        try:
            return embedding.features(read_audio(clips[row], RATE))
        except AudioError as error:
            raise AudioError(f"{places[row]}: {error}") from error

    parts = []
    with (
        progress_bar(f"embeddings of {name}", len(clips), unit="recordings", compiles=True) as advance,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        for start in range(0, len(clips), _BATCH):
            rows = range(start, min(start + _BATCH, len(clips)))
            parts.append(_outputs(embedding, list(pool.map(features, rows))).astype(np.float16))
            advance(len(rows))
    return np.concatenate(parts)


def _outputs(embedding: Embedding, clips: Sequence[np.ndarray]) -> np.ndarray:
    """Embeddings of up to 64 clips, padded to a few lengths: each length of a batch compiles a program."""
    lengths = np.ones(_BATCH, np.int32)
    lengths[: len(clips)] = [len(clip) for clip in clips]
    longest = max(lengths)
    padded = longest if len(set(lengths[: len(clips)])) == 1 else 8 * int(round_up(-(-longest // 8)))
    values = np.zeros((_BATCH, padded, clips[0].shape[1]), np.float32)
    for value, clip in zip(values, clips, strict=False):
        value[: len(clip)] = clip
    batch: Any = Ragged(values, lengths)  # type: ignore[arg-type]
    return np.asarray(embedding.apply(embedding.params, batch))[: len(clips)]
