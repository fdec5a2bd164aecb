"""One recording as a few numbers, from which all findings about sound are made."""

import hashlib
from typing import NamedTuple

import numpy as np

from jaxmeta.data.checking import bandwidth, channels, levels
from jaxmeta.data.checking.reading import Channels
from jaxmeta.data.recordings import QUIET_DB, SILENT


class Sound(NamedTuple):
    """What was measured. Levels are relative to full scale, where a sample is 1; of channels the worst counts."""

    seconds: float
    sounding: float
    """Seconds that are neither silent nor 40 dB below the loudest part."""
    sample_rate: int
    """Hz."""
    channels: int
    loudest_db: float
    """The loudest 25 ms, in dB."""
    offset: float
    """Mean of the samples."""
    clipped: float
    """Share of the samples that lie in flat tops."""
    dead: int
    """Channels that hold nothing beside others that do."""
    correlation: float
    """Lowest between two channels; 1 for one channel."""
    lower_rate: int
    """Hz that it may once have been recorded at; 0: no lower one."""
    edge_db: float
    """How steeply the spectrum falls at half of that rate."""
    noise_db: float
    """Estimated signal-to-noise ratio."""
    digest: bytes
    """The same for recordings that are the same to the last bit."""


def measure(recording: Channels) -> Sound:
    """Measure a recording: a pure function of its samples and its sample rate."""
    samples, rate = recording
    mixed = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    louder = samples[:, np.square(samples, dtype=np.float64).mean(axis=0).argmax()]
    powers = levels.frame_powers(louder, rate)
    lower, edge = bandwidth.steepest(bandwidth.spectrum(louder), rate)
    audible = max(SILENT**2, powers.max() * 10 ** (-QUIET_DB / 10))
    seconds = len(samples) / rate
    return Sound(
        seconds=seconds,
        sounding=min(seconds, float((powers > audible).sum() * levels.HOP)),
        sample_rate=rate,
        channels=samples.shape[1],
        loudest_db=levels.decibels(float(powers.max())),
        offset=max((levels.offset(each) for each in samples.T), key=abs),
        clipped=max(levels.clipped_share(each) for each in samples.T),
        dead=channels.dead_channels(samples),
        correlation=channels.lowest_correlation(samples),
        lower_rate=lower,
        edge_db=edge,
        noise_db=levels.signal_to_noise(powers),
        digest=_digest(mixed, samples, rate),
    )


def _digest(mixed: np.ndarray, samples: np.ndarray, rate: int) -> bytes:
    """Two channels that are the same are one, and silences before and after the sound do not count."""
    same = samples.shape[1] > 1 and bool((samples == samples[:, :1]).all())
    content = samples[:, :1] if same or samples.shape[1] == 1 else samples
    sounding = np.flatnonzero(np.abs(mixed) > 0)
    if len(sounding):
        content = content[sounding[0] : sounding[-1] + 1]
    return hashlib.sha256(f"{rate} {content.shape}".encode() + np.ascontiguousarray(content).tobytes()).digest()
