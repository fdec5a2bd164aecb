"""Recorded noise for training and for testing: types and sources are parted between the two."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxmeta.data.audio import read_audio
from jaxmeta.data.augmentation.banks import room_bank
from jaxmeta.data.augmentation.conditions import Condition, noise_conditions
from jaxmeta.data.augmentation.waveform import find_noises, in_both, split_noises
from jaxmeta.data.manifest import read_manifest
from jaxmeta.recognition.corpora import FEATURES

TRAINING_FOLDS, TEST_FOLDS = ("1", "2", "3"), ("4", "5")
"""Of noise_esc10: no source of a sound is in two of them."""


def recorded_noise(
    sounds: Path, background: Path, rooms: Path, snrs: Sequence[float], seed: int
) -> tuple[list[np.ndarray], tuple[Condition, ...]]:
    """Waveforms for training, and conditions for the test.

    Half of the types of sounds are seen; the other half is not, nor are background noise and rooms.
    Sounds of a seen type in the test are other recordings than those in training, from other sources.
    Args:
      sounds, background, rooms: folders as `noise_esc10`, `noise_long` and `rir_iosr` are.
      snrs: levels in decibels.
      seed: of the halves and of the noise that an utterance gets.
    """
    seen, unseen = split_noises(sounds, seed=seed)
    training, testing = (find_noises(sounds, folds, by="fold") for folds in (TRAINING_FOLDS, TEST_FOLDS))
    noises = {
        "seen": in_both(seen, testing), "unseen": in_both(unseen, testing),
        "background": find_noises(background, by="source"),
    }  # fmt: skip
    echoing = read_manifest(rooms).columns["room"] != "anechoic"
    rate, known = FEATURES.sample_rate, in_both(seen, training)
    waveforms = [np.resize(read_audio(Path(known.folder, name), rate), 5 * rate) for name in known.files]
    conditions = noise_conditions(noises, room_bank(rooms, sample_rate=rate)[echoing], snrs, seed)
    return [waveform for waveform in waveforms if waveform.any()], conditions
