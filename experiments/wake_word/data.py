"""Recordings of this experiment as embeddings: speech without wake words, and recordings of words; embedded once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.audio import read_audio
from jaxmeta.data.manifest import read_manifest
from jaxmeta.files.durable import replacing
from jaxmeta.files.folders import cache_folder
from jaxmeta.types import PyTree
from jaxmeta.words.wake.stream import RATE, EmbeddingStream, windows_of

LEAD, TAIL = RATE // 4, round(0.7 * RATE)
"""Samples of faint noise before and after a recording that is searched for a word."""
EFFICIENT_WINDOW, EFFICIENT_HOP = 24_000, 12_000
"""Samples that EfficientWord-Net sees, and from one look to the next in its README."""


class Clip(NamedTuple):
    """A recording of a word."""

    path: Path
    word: str
    speaker: str
    split: str


def speech_of_speakers(folder: Path) -> dict[str, list[Path]]:
    """The recordings of each speaker of a manifest."""
    manifest = read_manifest(folder)
    speakers = manifest.columns["speaker"]
    paths = [Path(each) for each in manifest.paths()]
    return {str(who): [paths[row] for row in np.flatnonzero(speakers == who)] for who in np.unique(speakers)}


def clips_of(folder: Path, words: Sequence[str]) -> list[Clip]:
    """The recordings of some words."""
    manifest = read_manifest(folder)
    columns = [manifest.columns[name].tolist() for name in ("label", "speaker", "split")]
    rows = zip(map(Path, manifest.paths()), *columns, strict=True)
    return [Clip(*row) for row in rows if row[1] in words]


def google(params: PyTree, files: Sequence[Path]) -> np.ndarray:
    """Embeddings [K, 96] of recordings one after the other, one for every 80 ms."""
    return _cached("google", files, lambda: EmbeddingStream(params).push(_joined(files)))


def google_clip(params: PyTree, file: Path) -> np.ndarray:
    """What a head sees at each step of a recording, with faint noise before and after it [K, 16, 96]."""

    def make() -> np.ndarray:
        stream = EmbeddingStream(params)
        return stream.windows(padded(read_audio(file, RATE)))

    return _cached("google_clip", [file], make)


def efficientword(network: Callable[[np.ndarray], np.ndarray], files: Sequence[Path]) -> np.ndarray:
    """EfficientWord-Net's embeddings [K, 2048] of recordings one after the other, one for every 0.75 s."""
    return _cached("efficientword", files, lambda: _looks(network, _joined(files)))


def efficientword_clip(network: Callable[[np.ndarray], np.ndarray], file: Path) -> np.ndarray:
    """The same of a recording with faint noise before and after it, which begins anywhere between two looks."""

    def make() -> np.ndarray:
        waveform = read_audio(file, RATE)
        before = int(np.random.default_rng(len(waveform)).integers(EFFICIENT_HOP))
        ends = EFFICIENT_WINDOW - EFFICIENT_HOP + before, EFFICIENT_WINDOW
        return _looks(network, padded(waveform, *ends))

    return _cached("efficientword_clip", [file], make)


def efficientword_reference(network: Callable[[np.ndarray], np.ndarray], word: np.ndarray) -> np.ndarray:
    """Its embedding [2048] of a recording to be recognised again, in the middle of 1.5 s."""
    word = word[:EFFICIENT_WINDOW]
    before = (EFFICIENT_WINDOW - len(word)) // 2
    return network(np.pad(word, (before, EFFICIENT_WINDOW - len(word) - before))).ravel()


def padded(waveform: np.ndarray, before: int = LEAD, after: int = TAIL) -> np.ndarray:
    """A recording between stretches of faint noise."""
    noise = np.random.default_rng(1).normal(scale=1e-3, size=before + after).astype(np.float32)
    return np.concatenate([noise[:before], waveform, noise[before:]])


def _looks(network: Callable[[np.ndarray], np.ndarray], waveform: np.ndarray) -> np.ndarray:
    starts = range(0, len(waveform) - EFFICIENT_WINDOW + 1, EFFICIENT_HOP)
    return np.stack([network(waveform[start : start + EFFICIENT_WINDOW]).ravel() for start in starts])


def _joined(files: Sequence[Path]) -> np.ndarray:
    return np.concatenate([read_audio(file, RATE) for file in files])


def _cached(network: str, files: Sequence[Path], make: Callable[[], np.ndarray]) -> np.ndarray:
    """An array in the cache, made if it is not there; its name is that of the files' contents."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()[:24]
    path = cache_folder(f"wake_word/{network}") / f"{digest}.npy"
    if not path.exists():
        array = make()
        with replacing(path, flush=False) as draft:
            np.save(draft, array)
    return np.load(path)
