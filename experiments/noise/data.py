"""Noise for training and for testing: made up, or of recordings whose types and sources are parted between the two."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.audio import read_audio
from jaxmeta.data.augmentation.artificial_sounds import artificial_rooms, babble, swelling
from jaxmeta.data.augmentation.banks import coloured_noise, room_bank
from jaxmeta.data.augmentation.conditions import Condition, noise_conditions
from jaxmeta.data.augmentation.waveform import Noises, find_noises, split_noises
from jaxmeta.data.features import extract
from jaxmeta.data.manifest import read_manifest
from jaxmeta.recognition.corpora import FEATURES

TRAINING_FOLDS, TEST_FOLDS = ("1", "2", "3"), ("4", "5")
"""Of noise_esc10: no source of a sound is in two of them."""


class Sounds(NamedTuple):
    """Noise for training and for testing."""

    bank: np.ndarray
    """Log-mels [M, L, F] of noise that the recogniser meets in training, all of it of the seen types."""
    conditions: tuple[Condition, ...]
    """Of the test."""


def artificial_sounds(voices: list[Path], snrs: tuple[float, ...], seed: int) -> Sounds:
    """Steady noise from white to brown is seen; babble and noise that swells are not, nor are rooms.

    Args:
      voices: recordings of training speakers, for the babble.
      snrs: levels in decibels.
      seed: of everything; noise of the test is none of that of training.
    """
    unseen = np.concatenate([babble(voices, 8, seed=seed), swelling(coloured_noise(8, seed=seed + 2), seed=seed)])
    noises = {"seen": coloured_noise(16, seed=seed + 1), "unseen": unseen}
    conditions = noise_conditions(noises, artificial_rooms(16, seed=seed), snrs, seed)
    return Sounds(_log_mels(list(coloured_noise(48, seed=seed))), conditions)


def recorded_sounds(sounds: Path, background: Path, rooms: Path, snrs: tuple[float, ...], seed: int) -> Sounds:
    """Half of the types of sounds are seen; the other half is not, nor are background noise and rooms.

    Sounds of a seen type in the test are other recordings than those in training, from other sources.
    Args:
      sounds, background, rooms: folders as `noise_esc10`, `noise_long` and `rir_iosr` are.
      snrs: levels in decibels.
      seed: of the halves and of the noise that an utterance gets.
    """
    seen, unseen = split_noises(sounds, seed=seed)
    training, testing = (find_noises(sounds, folds, by="fold") for folds in (TRAINING_FOLDS, TEST_FOLDS))
    noises = {
        "seen": _in_both(seen, testing), "unseen": _in_both(unseen, testing),
        "background": find_noises(background, by="source"),
    }  # fmt: skip
    echoing = read_manifest(rooms).columns["room"] != "anechoic"
    rate, known = FEATURES.sample_rate, _in_both(seen, training)
    waveforms = [np.resize(read_audio(Path(known.folder, name), rate), 5 * rate) for name in known.files]
    conditions = noise_conditions(noises, room_bank(rooms, sample_rate=rate)[echoing], snrs, seed)
    return Sounds(_log_mels([waveform for waveform in waveforms if waveform.any()]), conditions)


def _in_both(first: Noises, second: Noises) -> Noises:
    """The recordings of noise, of the kinds of the first, that both hold."""
    files = tuple(name for name in first.files if name in set(second.files))
    return first._replace(files=files, digest=f"{first.digest}{second.digest}")


def _log_mels(waveforms: list[np.ndarray]) -> np.ndarray:
    return np.stack([extract(waveform, FEATURES) for waveform in waveforms])
