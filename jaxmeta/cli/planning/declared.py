"""Corpora without features: what lists and the headers of files say, for a command that only looks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxmeta.data.audio import AudioError, declared_seconds
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from jaxmeta.data.features import FeatureConfig


def declared_corpus(folder: Path | Manifest, config: FeatureConfig, *, roots: Iterable[Path] = ()) -> Corpus:
    """A corpus in the place of that of `load_corpus`, whose recordings have lengths but no features [total, 0].

    Nothing is decoded or written; silence at the ends counts.
    Args:
      folder, config, roots: as in `load_corpus`.
    Raises:
      ManifestError, AudioError: a list, or the header of a file, is of no use; names the row.
    """
    manifest = folder if isinstance(folder, Manifest) else read_manifest(folder, roots)
    known: dict[str, float] = {}
    seconds = []
    for row, clip in enumerate(manifest.clips()):
        if clip.path not in known:
            try:
                known[clip.path] = declared_seconds(clip.path)
            except AudioError as error:
                raise AudioError(f"{manifest.where(row)}: {error}") from error
        seconds.append(known[clip.path] - clip.start if clip.duration is None else clip.duration)
    length = np.maximum(1, np.round(np.array(seconds) * config.frame_rate)).astype(np.int32)
    start = np.cumsum(length, dtype=np.int64) - length
    names = np.array([f"{place:016x}" for place in range(len(length))])
    return Corpus(
        np.zeros((int(length.sum()), 0), np.float32), start, length, {"recording": names, **manifest.columns},
        config=config,
    )  # fmt: skip
