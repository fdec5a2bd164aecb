"""Activations of a frozen network on the disk, so that the network runs once for each recording and never again."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.files.durable import replacing
from jaxmeta.recognition.pretrained.activations import with_activations
from jaxmeta.types import Model, PyTree


def stored_activations(corpus: Corpus, lower: Model, params: PyTree, folder: Path, *, batch: int = 16) -> Corpus:
    """What `with_activations` gives, read from a folder where that holds it and written there otherwise.

    The two files of a corpus are named for its recordings and for the weights; activations are memory-mapped.
    Args:
      corpus, lower, params, batch: as in `with_activations`; `params` are those of `lower` and no others.
      folder: of the files; made if missing.
    Raises: as `with_activations`.
    """
    key = f"{params_digest(params)}-{_digest(corpus)}"
    frames, lengths = folder / f"{key}.frames.npy", folder / f"{key}.lengths.npy"
    if not lengths.exists():
        made = with_activations(corpus, lower, params, batch=batch)
        folder.mkdir(parents=True, exist_ok=True)
        # The lengths last: where they are, all is there.
        for path, values in ((frames, made.frames), (lengths, made.length)):
            with replacing(path) as partial, partial.open("wb") as file:
                np.save(file, values)
    length = np.load(lengths)
    start = np.cumsum(length, dtype=np.int64) - length
    fingerprint = hashlib.sha256(key.encode()).hexdigest()[:16]
    stored = np.load(frames, mmap_mode="r")
    return replace(corpus, frames=stored, start=start, length=length, config=None, fingerprint=fingerprint)


def _digest(corpus: Corpus) -> str:
    """Of which frames of which recordings the rows are."""
    digest = hashlib.sha256(corpus.fingerprint.encode())
    for part in (corpus.start, corpus.length):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]
