"""A corpus: the features of all recordings in one array, beside columns that say what each recording is."""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from jaxmeta.data.audio import say_once
from jaxmeta.data.cache import cached_features, compute_part
from jaxmeta.data.extraction import WaveformTransform
from jaxmeta.data.features import FeatureConfig, Statistics, normalized, statistics
from jaxmeta.data.file_hashes import content_hashes
from jaxmeta.data.manifest import Manifest, read_manifest
from jaxmeta.data.text import canonical, column, joined


@dataclass(frozen=True, eq=False)
class Corpus:
    """R recordings: their features, and a string for each in every column. Raises ValueError if the parts disagree."""

    frames: np.ndarray
    """[total, F] float32, the recordings one after another; may be memory-mapped, and may hold rows not selected."""
    start: np.ndarray
    """[R] int64, first frame of each recording."""
    length: np.ndarray
    """[R] int32, frames of each recording, at least 1."""
    columns: dict[str, np.ndarray]
    """Column name -> [R] strings."""
    fingerprint: str = ""
    """Identifies the manifest and the audio as loaded, for the stamp of results; selecting does not change it."""
    config: FeatureConfig | None = field(default=None)
    """What the features are, where known."""

    def __post_init__(self) -> None:
        rows = len(self.start)
        sizes = {"length": len(self.length), **{name: len(values) for name, values in self.columns.items()}}
        if wrong := {name: size for name, size in sizes.items() if size != rows}:
            raise ValueError(f"a corpus of {rows} recordings needs as many values in each column, got {wrong}.")
        if self.frames.ndim != 2:
            raise ValueError(f"frames must be [total, F], got shape {self.frames.shape}.")
        ends = self.start + self.length
        if rows and (self.start.min() < 0 or self.length.min() < 1 or ends.max() > len(self.frames)):
            raise ValueError(f"start and length reach outside the {len(self.frames)} frames, or a length is below 1.")

    def __len__(self) -> int:
        return len(self.start)

    def select(self, mask: np.ndarray | None = None, **values: str | Collection[str]) -> "Corpus":
        """The recordings under a mask whose columns hold the given values; the frames are shared, not copied.

        Args:
          mask: [R] booleans; None for all.
          values: column name = a value, or a collection of values any of which will do.
        Raises:
          ValueError: there is no such column, the mask does not fit, or no recording is left.
        """
        keep = np.ones(len(self), bool) if mask is None else np.asarray(mask)
        if keep.shape != (len(self),) or keep.dtype != bool:
            raise ValueError(f"mask must be [{len(self)}] booleans, got {keep.dtype} {keep.shape}.")
        for name, wanted in values.items():
            meant = {canonical(value) for value in ([wanted] if isinstance(wanted, str) else wanted)}
            keep = keep & np.array([canonical(value) in meant for value in self._column(name).tolist()], bool)
        if not keep.any():
            held = {name: np.unique(self.columns[name]).tolist()[:20] for name in values}
            raise ValueError(f"select({values}) leaves none of {len(self)} recordings; the columns hold {held}.")
        columns = {name: values[keep] for name, values in self.columns.items()}
        return replace(self, start=self.start[keep], length=self.length[keep], columns=columns)

    def with_column(self, name: str, values: str | Sequence[str] | np.ndarray) -> "Corpus":
        """The corpus with a column added or replaced: [R] strings, or one string for all recordings."""
        cells = [values] * len(self) if isinstance(values, str) else np.asarray(values).tolist()
        return replace(self, columns={**self.columns, name: column(cells)})

    def statistics(self) -> Statistics:
        """Mean and standard deviation of each feature over the frames of these recordings only."""
        return statistics(_gather(self))

    def normalized(self, stats: Statistics) -> "Corpus":
        """The corpus in memory, each feature less the mean and over the deviation: those of training data, usually."""
        size = self.frames.shape[1]
        if stats.mean.shape != (size,) or stats.std.shape != (size,):
            raise ValueError(f"statistics must be [{size}] each, got {stats.mean.shape} and {stats.std.shape}.")
        return replace(self, frames=normalized(_gather(self), stats), start=_starts(self.length))

    def describe(self) -> str:
        """One line for a person: how many recordings, hours, labels, speakers and languages."""
        parts = [f"{len(self):,} recording{'s' * (len(self) != 1)}"]
        if self.config is not None:
            parts.append(f"{self.length.sum(dtype=np.int64) / self.config.frame_rate / 3600:.2f} h")
        kinds = {"label": "labels", "speaker": "speakers", "language": "languages"}
        counts = [(len(np.unique(self.columns[name])), kind) for name, kind in kinds.items() if name in self.columns]
        return ", ".join([*parts, *(f"{count:,} {kind if count != 1 else kind[:-1]}" for count, kind in counts)])

    def _column(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise ValueError(f"there is no column {name!r}; the columns are {', '.join(self.columns)}.")
        return self.columns[name]


def load_corpus(
    folder: str | os.PathLike[str] | Manifest,
    config: FeatureConfig = FeatureConfig(),
    *,
    workers: int | None = None,
    progress: bool = True,
    transform: WaveformTransform | None = None,
    statistics: Statistics | None = None,
    roots: Iterable[str | os.PathLike[str]] = (),
) -> Corpus:
    """Reads a manifest and the features of its recordings, from the cache where it holds them.

    The columns are those of the manifest and `recording`, the hash of the audio: rows with the same value are one
    recording, under whatever name or transform. A transform adds `copy`, the number of the copy.
    Args:
      folder: a manifest (see `read_manifest`), or one that was read.
      config: the features; with `normalize="corpus"` the frames are held in memory, else memory-mapped.
      workers: processes that compute; 1 computes in this one, None takes what the machine and the work allow.
      progress: show progress on standard error.
      transform: change to the waveforms; each recording becomes `transform.copies` neighbouring rows.
      statistics: for `normalize="corpus"`, those of the training data; None takes this corpus's own.
      roots: further folders in which files may lie (see `read_manifest`).
    Raises:
      ManifestError, AudioError: see `read_manifest` and `read_audio`; both name the row.
      ValueError: `statistics` with another `normalize`.
    """
    if statistics is not None and config.normalize != "corpus":
        raise ValueError(f'statistics are used with normalize="corpus" only, got normalize={config.normalize!r}.')
    manifest = folder if isinstance(folder, Manifest) else read_manifest(folder, roots)
    hashes = content_hashes(manifest, progress=progress)
    features = cached_features(manifest, hashes, config, transform=transform, workers=workers, progress=progress)
    if features.mixed:
        say_once(
            f"stereo: {features.mixed:,} of {len(hashes):,} recordings of {manifest.root} are mixed down to mono.",
            topic=str(manifest.root),
        )
    columns = {"recording": np.array(hashes, dtype="U16"), **manifest.columns}
    if transform is not None:
        columns = {name: np.repeat(column, transform.copies) for name, column in columns.items()}
        columns["copy"] = np.tile(np.arange(transform.copies), len(hashes)).astype(np.str_)
    fingerprint = _fingerprint(hashes, manifest.columns)
    corpus = Corpus(features.frames, _starts(features.lengths), features.lengths, columns, fingerprint, config)
    if config.normalize == "corpus":
        return corpus.normalized(corpus.statistics() if statistics is None else statistics)
    return corpus


def prepare_part(
    folder: str | os.PathLike[str],
    config: FeatureConfig,
    index: int,
    count: int,
    roots: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Compute the features of some recordings of a manifest, which `load_corpus` then finds.

    Args:
      folder, config, roots: as in `load_corpus`.
      index: of this process, from 0; each of them has other recordings, by their hashes.
      count: processes that share the cache folder.
    Raises: as `load_corpus`.
    """
    manifest = read_manifest(folder, roots)
    compute_part(manifest, content_hashes(manifest), config, index, count)


def concatenate(corpora: Sequence[Corpus]) -> Corpus:
    """Joins corpora in memory; a column that one of them lacks is filled with "".

    Raises:
      ValueError: there are none, or their features differ in size or config.
    """
    if not corpora:
        raise ValueError("concatenate needs at least one corpus.")
    shapes = sorted({corpus.frames.shape[1] for corpus in corpora})
    configs = {corpus.config for corpus in corpora if corpus.config is not None}
    if len(shapes) > 1 or len(configs) > 1:
        raise ValueError(f"the corpora hold different features: sizes {shapes}, configs {configs}; load them alike.")
    names = dict.fromkeys(name for corpus in corpora for name in corpus.columns)
    columns = {
        name: joined([corpus.columns.get(name, np.full(len(corpus), "")) for corpus in corpora]) for name in names
    }
    length = np.concatenate([corpus.length for corpus in corpora])
    frames = np.concatenate([_gather(corpus) for corpus in corpora])
    fingerprint = hashlib.sha256(" ".join(corpus.fingerprint for corpus in corpora).encode()).hexdigest()[:16]
    return Corpus(frames, _starts(length), length, columns, fingerprint, next(iter(configs), None))


def _gather(corpus: Corpus) -> np.ndarray:
    """The frames of the recordings of a corpus and no others, [sum of lengths, F]; a view where that is all of them."""
    if corpus.length.sum(dtype=np.int64) == len(corpus.frames) and np.array_equal(corpus.start, _starts(corpus.length)):
        return corpus.frames
    ends = corpus.start + corpus.length
    return np.concatenate([corpus.frames[start:end] for start, end in zip(corpus.start, ends, strict=True)])


def _starts(length: np.ndarray) -> np.ndarray:
    return np.cumsum(length, dtype=np.int64) - length


def _fingerprint(hashes: Sequence[str], columns: Mapping[str, np.ndarray]) -> str:
    said = {name: column.tolist() for name, column in columns.items()}
    # A corpus whose files lie in a folder of their own is the same wherever that folder is.
    said["file_name"] = [os.path.basename(name) if os.path.isabs(name) else name for name in said["file_name"]]
    parts = [list(hashes), said]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
