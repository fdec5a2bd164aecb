"""Acoustic conditions of speech: clean, noise of several kinds and levels, rooms; and noise that a task shares."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.data.augmentation import rows
from jaxmeta.data.augmentation.artificial_sounds import artificial_rooms, babble, swelling
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.data.augmentation.spectral import mix_noise
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.augmentation.waveform import Noises, noisy, reverberant
from jaxmeta.data.extraction import WaveformTransform
from jaxmeta.types import Array, Episode, Key


class Condition(NamedTuple):
    """An acoustic condition of speech."""

    kind: str
    """"clean", "room", or a group of noises."""
    snr: float | None
    """Decibels; None without noise."""
    transform: WaveformTransform | None
    """Of the waveform; None: there is none."""

    @property
    def name(self) -> str:
        return self.kind if self.snr is None else f"{self.kind} {self.snr:g} dB"


def noise_conditions(
    noises: Mapping[str, Noises | np.ndarray], rooms: np.ndarray, snrs: Sequence[float], seed: int
) -> tuple[Condition, ...]:
    """Clean speech, every group of noises at every ratio of signal to noise, and rooms.

    Args:
      noises: name of a group -> noises, as `waveform.noisy` takes them.
      rooms: room responses [M, L].
      snrs: in decibels.
      seed: of the noise and the room that an utterance gets.
    """
    return (
        Condition("clean", None, None),
        *(Condition(kind, snr, noisy(source, snr, seed=seed)) for kind, source in noises.items() for snr in snrs),
        Condition("room", None, reverberant(rooms, seed=seed)),
    )


def artificial_conditions(voices: Sequence[Path], snrs: Sequence[float], seed: int) -> tuple[Condition, ...]:
    """Conditions that need no recordings of noise, none of which is in `coloured_noise(..., seed=seed)`.

    So a recogniser may be trained in that. Groups of noises are "seen", steady noise from white to brown, and "unseen",
    babble and noise that swells.
    Args:
      voices: recordings of speech, for the babble.
      snrs, seed: as in `noise_conditions`; the seed is that of everything.
    """
    swells = swelling(coloured_noise(8, seed=seed + 2), seed=seed)
    noises = {
        "seen": coloured_noise(16, seed=seed + 1),
        "unseen": np.concatenate([babble(voices, 8, seed=seed), swells]),
    }
    return noise_conditions(noises, artificial_rooms(16, seed=seed), snrs, seed)


def same_noise(
    bank: np.ndarray,
    snrs: Sequence[float],
    augmentation: Callable[[rows.Transform], rows.Transform],
) -> Callable[[Key, Episode], Episode]:
    """(key, episode) -> episode, all of whose utterances are in the same noise at the same level, or in none.

    Args:
      bank: log-mels of noise [M, L, F].
      snrs: levels in decibels; each is as likely as no noise at all.
      augmentation: the noise as a transform -> all that an utterance goes through.
    """
    stretches: Array = jnp.asarray(bank)

    def augment(key: Key, episode: Episode) -> Episode:
        keys = jax.random.split(key, 3)
        noise = stretches[jax.random.randint(keys[0], (), 0, len(stretches))][None]
        level = jax.random.randint(keys[1], (), 0, 1 + len(snrs))

        def in_noise(key, inputs):
            levels: list[Callable] = [lambda key, inputs: inputs, *(mix_noise(noise, snr, snr) for snr in snrs)]
            return jax.lax.switch(level, levels, key, inputs)

        return augment_episode(augmentation(in_noise))(keys[2], episode)

    return augment
