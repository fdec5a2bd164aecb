"""The conditions of the noise experiment: what is heard in training, and what speech is heard in at the test."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.noise.recipes import SNRS
from experiments.noise.sounds import artificial_rooms, babble, swelling
from jaxmeta.data.audio import read_audio
from jaxmeta.data.augmentation.banks import coloured_noise, room_bank
from jaxmeta.data.augmentation.waveform import Noises, find_noises, noisy, reverberant, split_noises
from jaxmeta.data.extraction import WaveformTransform
from jaxmeta.data.features import extract
from jaxmeta.data.manifest import read_manifest
from jaxmeta.recognition.corpora import FEATURES

RECORDED = ("noise_esc10", "noise_long", "rir_iosr")
"""Folders of noise and of rooms, under JAXMETA_DATA."""
_HEARD, _KEPT = ("1", "2", "3"), ("4", "5")  # Folds of noise_esc10: no source of a sound is in two of them.


class Condition(NamedTuple):
    """What speech is heard in."""

    kind: str
    """"clean", "room", or a group of noises."""
    snr: float | None
    """Decibels; None without noise."""
    transform: WaveformTransform | None

    @property
    def name(self) -> str:
        return self.kind if self.snr is None else f"{self.kind} {self.snr:g} dB"


class Sounds(NamedTuple):
    """Noise for training and for testing."""

    bank: np.ndarray
    """Log-mels [M, L, F] of noise that the recogniser hears in training, all of it of the seen types."""
    conditions: tuple[Condition, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.bank.tobytes()).hexdigest()[:16]


def artificial_sounds(voices: list[Path], seed: int) -> Sounds:
    """Steady noise from white to brown is seen; babble and noise that swells are not, nor are rooms.

    Args:
      voices: recordings of training speakers, for the babble.
      seed: of everything; noise of the test is none of that of training.
    """
    steady = coloured_noise(16, seed=seed + 1)
    unseen = np.concatenate([babble(voices, 8, seed=seed), swelling(coloured_noise(8, seed=seed + 2), seed=seed)])
    conditions = _conditions({"seen": steady, "unseen": unseen}, artificial_rooms(16, seed=seed), seed)
    return Sounds(_log_mels(list(coloured_noise(48, seed=seed))), conditions)


def recorded_sounds(home: Path, seed: int) -> Sounds:
    """Half of the types of noise_esc10 are seen; the other half is not, nor are noise_long ("background") and rooms.

    Sounds of a seen type in the test are other recordings than those in training, from other sources.
    Args:
      home: of the folders.
      seed: of the halves and of the noise that an utterance gets.
    """
    sounds, long, rooms = (home / name for name in RECORDED)
    seen, unseen = split_noises(sounds, seed=seed)
    heard, kept = (find_noises(sounds, folds, by="fold") for folds in (_HEARD, _KEPT))
    training, rate = _in_both(seen, heard), FEATURES.sample_rate
    echoing = read_manifest(rooms).columns["room"] != "anechoic"
    noises = {
        "seen": _in_both(seen, kept),
        "unseen": _in_both(unseen, kept),
        "background": find_noises(long, by="source"),
    }
    waveforms = [np.resize(read_audio(Path(training.folder, name), rate), 5 * rate) for name in training.files]
    audible = [waveform for waveform in waveforms if waveform.any()]
    return Sounds(_log_mels(audible), _conditions(noises, room_bank(rooms, sample_rate=rate)[echoing], seed))


def _conditions(noises: dict[str, Noises | np.ndarray], rooms: np.ndarray, seed: int) -> tuple[Condition, ...]:
    return (
        Condition("clean", None, None),
        *(Condition(kind, snr, noisy(source, snr, seed=seed)) for kind, source in noises.items() for snr in SNRS),
        Condition("room", None, reverberant(rooms, seed=seed)),
    )


def _in_both(first: Noises, second: Noises) -> Noises:
    """The recordings of noise, of the kinds of the first, that both hold."""
    files = tuple(name for name in first.files if name in set(second.files))
    return first._replace(files=files, digest=f"{first.digest}{second.digest}")


def _log_mels(waveforms: list[np.ndarray]) -> np.ndarray:
    return np.stack([extract(waveform, FEATURES) for waveform in waveforms])
