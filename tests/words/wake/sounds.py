"""A made-up word, a rising tone, and sound that is not it; and an embedding with random weights."""

import functools

import jax
import numpy as np

from jaxmeta.models.pretrained.word_embedding import word_embedding
from jaxmeta.types import Ragged

RATE = 16_000


@functools.cache
def embedding():
    """Params of `word_embedding`, drawn at random."""
    inputs = Ragged(np.zeros((1, 76, 32), np.float32), np.array([76]))
    params = jax.jit(word_embedding().init)(jax.random.key(0), inputs)[0]
    # As they are drawn, twenty layers would leave next to nothing of their input.
    return {
        name: {"kernel": 1.8 * np.asarray(each["kernel"]), "bias": np.asarray(each["bias"])}
        for name, each in params.items()
    }


def word(seed, seconds=0.6):
    """A tone that rises from about 400 to about 2,500 Hz, as nobody else of other seeds says it."""
    rng = np.random.default_rng([7, seed])
    time = np.arange(round(seconds * RATE * rng.uniform(0.9, 1.1))) / RATE
    low, high = 400 * rng.uniform(0.9, 1.1), 2500 * rng.uniform(0.9, 1.1)
    phase = 2 * np.pi * (low * time + (high - low) / 2 * time**2 / time[-1])
    return (0.3 * np.sin(phase) * np.hanning(len(time)) + rng.normal(scale=1e-3, size=len(time))).astype(np.float32)


def other(seed, seconds):
    """Noise in which tones fall and stay, and none rises."""
    rng = np.random.default_rng([8, seed])
    sound = rng.normal(scale=1e-2, size=round(seconds * RATE))
    for start in range(0, len(sound) - RATE, RATE):
        time = np.arange(round(0.5 * RATE)) / RATE
        high, fall = rng.uniform(500, 3000), rng.choice([0.0, 800.0, 1500.0])
        sound[start : start + len(time)] += (
            0.2 * np.sin(2 * np.pi * (high * time - fall / 2 * time**2)) * np.hanning(len(time))
        )
    return sound.astype(np.float32)
