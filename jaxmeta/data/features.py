"""Log-mel and mel-cepstral features of a waveform, by librosa; every parameter is in one frozen config."""

import functools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import librosa
import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

VERSION = 2
"""Goes into the cache key: raise it whenever the same config and waveform would give other numbers."""

_BLOCK = 8192
"""Frames whose spectrum is in memory at once."""
_LEAST_FRAMES = 4
"""Trimming never leaves fewer hops than this of a longer recording, so that a click does not become a word."""
_DELTA_WIDTH = 9
"""Frames that a difference is fitted over, librosa's default."""
_KINDS = ("logmel", "mfcc", "whisper", "waveform")
Beyond = Literal["constant", "reflect"]
"""What lies beyond the ends of a recording."""
_LEAST_DEVIATION = 1e-5
"""A feature that varies less than this is constant up to rounding; it is centred but not scaled."""


@dataclass(frozen=True)
class FeatureConfig:
    """Every parameter of the features. Raises ValueError where no features could come of it."""

    kind: Literal["logmel", "mfcc", "whisper", "waveform"] = "logmel"
    """Log-mel energies, their first cepstral coefficients (orthonormal DCT-II), log-mels as Whisper has them, or the
    samples themselves, `hop_length` in a frame."""
    sample_rate: int = 16_000
    """Hz; recordings at other rates are resampled."""
    n_fft: int = 512
    """Samples of the Fourier transform, at least `win_length`."""
    win_length: int = 400
    """Samples of the Hann window."""
    hop_length: int = 320
    """Samples from one frame to the next; a recording of S samples has 1 + S // hop_length frames."""
    n_mels: int = 40
    """Mel bands (Slaney's scale and area normalisation)."""
    n_mfcc: int = 13
    """Cepstral coefficients, at most `n_mels`; used by "mfcc" only."""
    deltas: int = 0
    """Orders of differences appended to the features: 0, 1 or 2."""
    fmin: float = 20.0
    """Hz; lower edge of the lowest band."""
    fmax: float = 7_600.0
    """Hz; upper edge of the highest band, at most half the sample rate."""
    floor: float = 1e-8
    """Power below which bands are cut off before the logarithm; above the rounding noise of 16-bit audio (4e-10)."""
    trim_db: float | None = None
    """Cut leading and trailing frames this many dB below the loudest one; None keeps them."""
    normalize: Literal["none", "utterance", "corpus"] = "utterance"
    """Zero mean and unit variance of each feature over the recording, or over the corpus (see `load_corpus`)."""

    def __post_init__(self) -> None:
        for name, known in (("kind", _KINDS), ("normalize", ("none", "utterance", "corpus"))):
            value = getattr(self, name)
            _need(value in known, name, value, f"is one of {', '.join(known)}")
        for name in ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels", "n_mfcc"):
            value = getattr(self, name)
            _need(isinstance(value, int) and value >= 1, name, value, "is an integer of at least 1")
        _need(self.n_fft <= 65_536, "n_fft", self.n_fft, "is at most 65,536")
        _need(self.sample_rate <= 1_000_000, "sample_rate", self.sample_rate, "is at most 1,000,000 Hz")
        bins = self.n_fft // 2 + 1
        _need(self.n_mels <= bins, "n_mels", self.n_mels, f"is at most the bins of the transform, {bins}")
        _need(self.win_length <= self.n_fft, "win_length", self.win_length, f"is at most n_fft={self.n_fft}")
        _need(self.n_mfcc <= self.n_mels, "n_mfcc", self.n_mfcc, f"is at most n_mels={self.n_mels}")
        _need(self.deltas in (0, 1, 2), "deltas", self.deltas, "is 0, 1 or 2")
        _need(0 <= self.fmin < self.fmax, "fmin", self.fmin, f"lies in [0, fmax={self.fmax})")
        half = self.sample_rate / 2
        _need(self.fmax <= half, "fmax", self.fmax, f"is at most half the sample rate, {half:g} Hz")
        _need(0 < self.floor < math.inf, "floor", self.floor, "is above 0 and finite")
        _need(self.trim_db is None or 0 < self.trim_db < math.inf, "trim_db", self.trim_db, "is None or above 0")

    @property
    def size(self) -> int:
        """Features in a frame, F."""
        if self.kind == "waveform":
            return self.hop_length
        return (self.n_mfcc if self.kind == "mfcc" else self.n_mels) * (1 + self.deltas)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length


def whisper_features(n_mels: int = 80) -> FeatureConfig:
    """The features that Whisper was trained on: 100 frames a second of `n_mels` bands, 80 or (large-v3) 128.

    A recording of S samples has S // 160 frames. Those of a recording that is padded to 30 seconds are what
    transformers' WhisperFeatureExtractor gives.

    >>> extract(np.zeros(16_000), whisper_features()).shape
    (100, 80)
    """
    return FeatureConfig("whisper", n_fft=400, hop_length=160, n_mels=n_mels, fmin=0.0, fmax=8_000.0, floor=1e-10,
                         normalize="none")  # fmt: skip


def waveform_frames(hop_length: int = 320) -> FeatureConfig:
    """The samples of a waveform at 16 kHz in frames of so many, for networks that take waveforms.

    A recording of S samples has S / hop_length frames, rounded up; zeros fill the last one.

    >>> extract(np.zeros(16_001), waveform_frames()).shape
    (51, 320)
    """
    return FeatureConfig("waveform", hop_length=hop_length, normalize="none")


class Statistics(NamedTuple):
    """Mean and standard deviation of each feature over a set of frames."""

    mean: np.ndarray
    """[F] float32."""
    std: np.ndarray
    """[F] float32; 1 for a constant feature."""


def extract(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Turns a waveform [S] at `config.sample_rate` into features, float32 [T, F] with T >= 1.

    `normalize="corpus"` is left undone here, since one recording does not know its corpus.
    Raises:
      ValueError: the waveform is empty or not one-dimensional, the features are not finite, or bands are empty.
    """
    waveform = np.asarray(waveform, dtype=np.float32)
    if waveform.ndim != 1 or not waveform.size:
        raise ValueError(f"extract needs a waveform [S] with S >= 1, got shape {waveform.shape}.")
    if config.trim_db is not None:
        waveform = _trim(waveform, config.trim_db, config)
    if config.kind == "waveform":
        features = np.pad(waveform, (0, -len(waveform) % config.hop_length)).reshape(-1, config.hop_length).T
    elif config.kind == "whisper":
        features = _whisper(waveform, config)
    else:
        features = np.log(np.maximum(_mel_power(waveform, config), config.floor))
    if config.kind == "mfcc":
        features = librosa.feature.mfcc(S=features, n_mfcc=config.n_mfcc)
    if config.deltas:
        # "nearest" repeats the edge frame, so that a recording may be shorter than the fit.
        orders = range(1, config.deltas + 1)
        slopes = [librosa.feature.delta(features, width=_DELTA_WIDTH, order=n, mode="nearest") for n in orders]
        features = np.concatenate([features, *slopes])
    if not np.isfinite(features).all():
        peak = float(np.abs(waveform).max())
        raise ValueError(f"the features are not finite; the largest sample is {peak:g}, scale it to about 1.")
    features = np.ascontiguousarray(features.T, dtype=np.float32)
    return normalized(features, statistics(features)) if config.normalize == "utterance" else features


def statistics(frames: np.ndarray) -> Statistics:
    """Mean and standard deviation of each feature over frames [T, F], computed in float64.

    >>> statistics(np.array([[1.0, 5.0], [3.0, 5.0]])).mean.tolist()
    [2.0, 5.0]
    """
    mean = frames.mean(axis=0, dtype=np.float64)
    std = frames.std(axis=0, dtype=np.float64)
    return Statistics(mean.astype(np.float32), np.where(std < _LEAST_DEVIATION, 1.0, std).astype(np.float32))


def normalized(frames: np.ndarray, stats: Statistics) -> np.ndarray:
    """Frames [T, F] less the mean, over the standard deviation; float32."""
    return ((frames - stats.mean) / stats.std).astype(np.float32, copy=False)


def cached_form(config: FeatureConfig) -> FeatureConfig:
    """The config of what the cache holds: corpus statistics are applied on loading."""
    return replace(config, normalize="none") if config.normalize == "corpus" else config


@functools.lru_cache(maxsize=16)
def mel_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> "csr_array":
    """Mel filterbank [M, 1 + n_fft // 2], made once for each setting; sparse, as 1 weight in 20 is not zero.

    Raises ValueError where a band is narrower than the spacing of the Fourier bins and would be constant.
    """
    from scipy.sparse import csr_array  # Imported late, as librosa's parts are: features of the cache need neither.

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters detected")  # Raised as an error below.
        filters = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    empty = int((filters.max(axis=1) == 0).sum())
    if empty:
        raise ValueError(f"{empty} of n_mels={n_mels} bands hold no bin of n_fft={n_fft}; lower n_mels or raise n_fft.")
    # A dense product would go to a BLAS with threads of its own: 50 times slower where processes share the cores.
    return csr_array(filters)


def _whisper(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Decades above the floor, at most 8 below the loudest, about [-1, 1]. Source: Radford et al. 2022, section 2.2."""
    frames = max(1, len(waveform) // config.hop_length)
    decades = np.log10(np.maximum(_mel_power(waveform, config, "reflect")[:, :frames], config.floor))
    return (np.maximum(decades, decades.max() - 8) + 4) / 4


def _mel_power(waveform: np.ndarray, config: FeatureConfig, beyond: Beyond = "constant") -> np.ndarray:
    """Mel power [M, T] of Hann windows centred on multiples of the hop; zeros or reflections beyond the ends."""
    frames = 1 + len(waveform) // config.hop_length
    if len(waveform) < config.n_fft:
        waveform = np.pad(waveform, (0, config.n_fft - len(waveform)))
    filters = mel_filters(config.sample_rate, config.n_fft, config.n_mels, config.fmin, config.fmax)
    blocks = []
    for block in _blocks(waveform, config, beyond):
        spectrum = librosa.stft(
            block, n_fft=config.n_fft, hop_length=config.hop_length, win_length=config.win_length, center=False
        )
        with np.errstate(over="ignore"):  # `extract` refuses what is not finite, and says why.
            blocks.append(filters @ (spectrum.real**2 + spectrum.imag**2))
    return np.concatenate(blocks, axis=1)[:, :frames]


def _blocks(waveform: np.ndarray, config: FeatureConfig, beyond: Beyond = "constant") -> Iterator[np.ndarray]:
    """The samples of `_BLOCK` frames at a time, centred on multiples of the hop; all of an hour is a gigabyte."""
    waveform = np.pad(waveform, config.n_fft // 2, mode=beyond)
    frames = 1 + (len(waveform) - config.n_fft) // config.hop_length
    for first in range(0, frames, _BLOCK):
        last = min(first + _BLOCK, frames) - 1
        yield waveform[first * config.hop_length : last * config.hop_length + config.n_fft]


def _trim(waveform: np.ndarray, trim_db: float, config: FeatureConfig) -> np.ndarray:
    """Cuts silence at both ends, but keeps at least a few hops around what is left; by frames as librosa does."""
    if len(waveform) <= _BLOCK * config.hop_length:
        _, (start, stop) = librosa.effects.trim(
            waveform, top_db=trim_db, frame_length=config.n_fft, hop_length=config.hop_length
        )
    else:
        start, stop = _loud(waveform, trim_db, config)
    least = min(len(waveform), _LEAST_FRAMES * config.hop_length)
    start = max(0, min(start, (start + stop - least) // 2, len(waveform) - least))
    return waveform[start : max(stop, start + least)]


def _loud(waveform: np.ndarray, trim_db: float, config: FeatureConfig) -> tuple[int, int]:
    """Where a long waveform is not silent: what `librosa.effects.trim` finds, in blocks."""
    levels = np.concatenate([
        librosa.feature.rms(y=block, frame_length=config.n_fft, hop_length=config.hop_length, center=False)[0]
        for block in _blocks(waveform, config)
    ])  # fmt: skip
    loud = np.flatnonzero(librosa.amplitude_to_db(levels, ref=np.max, top_db=None) > -trim_db)
    if not len(loud):
        return 0, 0
    return int(loud[0]) * config.hop_length, min(len(waveform), (int(loud[-1]) + 1) * config.hop_length)


def _need(condition: bool, name: str, value: object, rule: str) -> None:
    if not condition:
        raise ValueError(f"FeatureConfig.{name} {rule}, got {value!r}.")
