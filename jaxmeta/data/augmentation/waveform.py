"""Noise and rooms at the waveform, as conditions of a corpus: `load_corpus(folder, transform=noisy(noises, 10))`.

What a recording gets depends on the transform's seed and the recording's own content alone, so it is the same noise at
every level, and the same for any number of processes.
"""

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.signal import oaconvolve

from jaxmeta.data.audio import read_audio
from jaxmeta.data.cache import cached_features
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.extraction import WaveformTransform
from jaxmeta.data.file_hashes import content_hashes
from jaxmeta.data.manifest import Manifest, ManifestError, read_manifest
from jaxmeta.data.manifests.clips import DURATION, START

_DRAWS = 100  # Stretches tried before a noise counts as silent.


class Noises(NamedTuple):
    """Recordings of noise in a manifest folder; names them only, so that it can be sent to other processes."""

    folder: str
    kinds: tuple[str, ...]
    """The types of noise, sorted."""
    files: tuple[str, ...]
    """Relative to the folder, in the order of its manifest."""
    digest: str
    """Of the files' contents, for the key of cached features."""


def find_noises(folder: str | os.PathLike[str], kinds: Sequence[str] | None = None, *, by: str = "label") -> Noises:
    """The recordings of noise of these types.

    Args:
      folder: a manifest of noise.
      kinds: values of the column `by`; None: all of them.
      by: the column that tells types of noise apart, such as "label" or "source".
    Raises:
      ValueError: there is no such column, or no recording of a kind.
    """
    manifest = read_manifest(folder)
    if by not in manifest.columns:
        raise ValueError(f"by={by!r}: {manifest.root} has no such column; it has {', '.join(manifest.columns)}.")
    held = np.unique(manifest.columns[by]).tolist()
    wanted = sorted(set(held if kinds is None else kinds))
    if not wanted or not set(wanted) <= set(held):
        raise ValueError(f"kinds={wanted} must be some of {held}, the values of {by!r} in {manifest.root}.")
    rows = np.flatnonzero(np.isin(manifest.columns[by], wanted))
    if pieces := [row for row, clip in enumerate(manifest.clips()) if not clip.whole]:
        raise ManifestError(
            f"{manifest.where(pieces[0])}: noise is taken from anywhere in a file; leave out start and duration."
        )
    hashes = content_hashes(manifest, progress=False)
    digest = hashlib.sha256(" ".join(hashes[row] for row in rows).encode()).hexdigest()[:16]
    files = tuple(manifest.columns["file_name"][rows].tolist())
    return Noises(str(manifest.root), tuple(wanted), files, digest)


def split_noises(
    folder: str | os.PathLike[str], *, seen: float = 0.5, seed: int = 0, by: str = "label"
) -> tuple[Noises, Noises]:
    """The types of noise of a folder, parted into those for training (seen) and those for testing (unseen).

    Args:
      folder: a manifest of noise, of two types or more.
      seen: share of the types that are seen, above 0 and below 1; at least one type is on either side.
      seed: 0 or more.
      by: the column that tells types of noise apart, such as "label" or "source".
    Raises:
      ValueError: a share out of range, no such column, or one type only.
    """
    if not 0 < seen < 1:
        raise ValueError(f"seen must lie between 0 and 1, got {seen}.")
    kinds = find_noises(folder, by=by).kinds
    if len(kinds) < 2:
        raise ValueError(f"by={by!r}: {folder} has one type of noise, {kinds[0]!r}; splitting needs two.")
    order = np.random.default_rng(seed).permutation(kinds).tolist()
    count = min(max(1, round(seen * len(kinds))), len(kinds) - 1)
    return find_noises(folder, order[:count], by=by), find_noises(folder, order[count:], by=by)


def in_both(first: Noises, second: Noises) -> Noises:
    """The recordings of noise, of the kinds of the first, that both hold; both are of one folder."""
    files = tuple(name for name in first.files if name in set(second.files))
    return first._replace(files=files, digest=f"{first.digest}{second.digest}")


def noisy(noises: Noises | np.ndarray, snr_db: float, *, copies: int = 1, seed: int = 0) -> WaveformTransform:
    """Noise added to each recording at a fixed ratio of signal to noise.

    The ratio is that of mean powers over the whole clip, pauses included: 10 log10(mean(speech ** 2) / mean(noise **
    2)). A stretch of noise as long as the clip starts anywhere in its recording and goes round at its end; a stretch
    of digital silence is drawn again. A clip of digital silence is refused, as no level follows from it.
    Args:
      noises: from `find_noises` or `split_noises`; or an array [M, L] of noise at the sample rate of the features, such
        as `banks.coloured_noise`, small enough to be sent to every process with each chunk of recordings.
      snr_db: in decibels, finite; 20, 10, 5 and 0 are usual.
      copies: rows that each recording becomes, each with another noise.
      seed: 0 or more.
    Raises:
      ValueError: bad numbers or shapes.
    """
    if not np.isfinite(snr_db):
        raise ValueError(f"snr_db must be finite, got {snr_db}.")
    _check_copies(copies, seed)
    if isinstance(noises, Noises):
        source = noises.digest
    else:
        noises = _bank("noises", noises)
        source = _digest(noises)
    name = f"noisy snr_db={float(snr_db)!r} {source}"
    return WaveformTransform(name, functools.partial(_add_noise, noises=noises, snr_db=float(snr_db)), copies, seed)


def reverberant(rooms: np.ndarray, *, copies: int = 1, seed: int = 0) -> WaveformTransform:
    """Each recording as heard in a room drawn for it; its length and its power stay.

    The response's largest peak, the direct path, is taken as time zero, so that speech does not move; the tail that
    would outlast the clip is cut.
    Args:
      rooms: room responses [M, L] at the sample rate of the features, such as `banks.room_bank` loads.
      copies: rows that each recording becomes, each in a room drawn anew.
      seed: 0 or more.
    Raises:
      ValueError: bad numbers or shapes.
    """
    _check_copies(copies, seed)
    rooms = _bank("rooms", rooms)
    return WaveformTransform(f"reverberant {_digest(rooms)}", functools.partial(_in_room, rooms=rooms), copies, seed)


def in_condition(corpus: Corpus, folder: str | os.PathLike[str], transform: WaveformTransform | None) -> Corpus:
    """Recordings of a corpus as they sound under a transform of one copy; the columns stay.

    Args:
      corpus: with the column file_name, and features whose config is known.
      folder: of the files.
      transform: such as `noisy` and `reverberant` make; None: the corpus itself.
    Raises:
      ValueError: more than one copy, or a corpus without its config. AudioError as `cached_features`.
    """
    if transform is None:
        return corpus
    if corpus.config is None or transform.copies != 1:
        raise ValueError(f"in_condition needs a corpus with a config and one copy, got copies={transform.copies}.")
    naming = {name: corpus.columns[name] for name in ("file_name", START, DURATION) if name in corpus.columns}
    manifest = Manifest(Path(folder).resolve(), naming)
    hashes = content_hashes(manifest, progress=False)
    features = cached_features(manifest, hashes, corpus.config, transform=transform)
    start = np.cumsum(features.lengths, dtype=np.int64) - features.lengths
    name = f"{corpus.fingerprint} {transform.name} {transform.seed}"
    fingerprint = hashlib.sha256(name.encode()).hexdigest()[:16]
    return replace(corpus, frames=features.frames, start=start, length=features.lengths, fingerprint=fingerprint)


def _add_noise(
    waveform: np.ndarray, rng: np.random.Generator, sample_rate: int, *, noises: Noises | np.ndarray, snr_db: float
) -> np.ndarray:
    power = np.mean(waveform.astype(np.float64) ** 2)
    if not power > 0:
        raise ValueError("the recording is digital silence, so that no level of noise follows from it; remove its row.")
    noise = _stretch(noises, rng, len(waveform), sample_rate)
    scale = np.sqrt(power / np.mean(noise**2) * 10 ** (-snr_db / 10))
    return (waveform + scale * noise).astype(np.float32)


def _stretch(noises: Noises | np.ndarray, rng: np.random.Generator, size: int, sample_rate: int) -> np.ndarray:
    """Noise [size], float64, that is not silent."""
    count = len(noises.files) if isinstance(noises, Noises) else len(noises)
    for _ in range(_DRAWS):
        chosen = int(rng.integers(count))
        if isinstance(noises, Noises):
            recording = _recording(os.path.join(noises.folder, noises.files[chosen]), sample_rate)
        else:
            recording = noises[chosen]
        places = np.arange(size) + rng.integers(len(recording))
        noise = recording.take(places, mode="wrap").astype(np.float64)
        if noise.any():
            return noise
    raise ValueError(f"{_DRAWS} stretches of noise in turn were digital silence; leave silent noises out.")


@functools.lru_cache(maxsize=128)  # At most some 100 MB: 128 recordings of ten seconds.
def _recording(path: str, sample_rate: int) -> np.ndarray:
    return read_audio(Path(path), sample_rate)


def _in_room(waveform: np.ndarray, rng: np.random.Generator, sample_rate: int, *, rooms: np.ndarray) -> np.ndarray:
    response = rooms[rng.integers(len(rooms))].astype(np.float64)
    response = response[np.abs(response).argmax() :]
    wet = oaconvolve(waveform.astype(np.float64), response)[: len(waveform)]
    energy = np.sum(wet**2)
    scale = np.sqrt(np.sum(waveform.astype(np.float64) ** 2) / energy) if energy > 0 else 0.0
    return (scale * wet).astype(np.float32)


def _bank(argument: str, bank: np.ndarray) -> np.ndarray:
    bank = np.asarray(bank, np.float32)
    if bank.ndim != 2 or not bank.size or not np.isfinite(bank).all() or not bank.any(axis=1).all():
        raise ValueError(f"{argument} must be finite waveforms [M, L], none of them silent; got shape {bank.shape}.")
    return bank


def _digest(bank: np.ndarray) -> str:
    return hashlib.sha256(f"{bank.shape}".encode() + np.ascontiguousarray(bank).tobytes()).hexdigest()[:16]


def _check_copies(copies: int, seed: int) -> None:
    if copies < 1 or seed < 0:
        raise ValueError(f"copies must be at least 1 and seed at least 0, got {copies} and {seed}.")
