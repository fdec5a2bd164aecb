"""Many takes from a few recordings of a word: other paces, levels, rooms, microphones and backgrounds.

Each becomes what a head sees at four steps in a row, all of which end at most 0.4 s after the word does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import soxr
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import fftconvolve

from jaxmeta.data.pretrained.embedding_features import step_mels
from jaxmeta.models.pretrained.word_embedding import STEP, WINDOW
from jaxmeta.types import PyTree
from jaxmeta.words.wake.stream import CONTEXT, RATE, STEP_SECONDS, embed_clips, windows_of

STEPS = 4
"""At which a head sees each take."""
FRAMES = WINDOW + (CONTEXT + STEPS - 2) * STEP
SAMPLES = 160 * FRAMES + 352
"""Of a take: 2.2 s."""
LATEST = 0.4
"""Seconds from the end of a word to the end of what a head sees, at most."""
PACES = (0.82, 1.22)
"""How much faster words are said, with a higher voice."""
LEVELS = (-45.0, -15.0)
"""Of 2 s, in decibels of full scale."""
_ROWS = 32


class Surroundings(NamedTuple):
    """What words are mixed with; waveforms at 16 kHz."""

    noise: np.ndarray
    """[M, L], of any level."""
    rooms: np.ndarray
    """Responses [M, L]."""
    speech: Sequence[np.ndarray]
    """Other speech [S] each, that may come before the word; may be empty."""


def takes(words: Sequence[np.ndarray], count: int, surroundings: Surroundings, rng: np.random.Generator) -> np.ndarray:
    """Augmented recordings of words, float32 [count, SAMPLES]; the words take turns.

    Args:
      words: recordings [S] of one word each, without silence at their ends.
      count: how many.
      surroundings: what they are mixed with.
      rng: draws everything.
    """
    return np.stack([_take(words[index % len(words)], surroundings, rng) for index in range(count)])


def embed_takes(params: PyTree, waveforms: np.ndarray) -> np.ndarray:
    """What a head sees of waveforms [N, SAMPLES] at each of their steps: [4 N, 16, 96]."""
    parts = []
    for start in range(0, len(waveforms), _ROWS):
        rows = np.minimum(np.arange(start, start + _ROWS), len(waveforms) - 1)
        parts.append(embed_clips(params, step_mels(waveforms[rows], FRAMES)))
    return np.concatenate([windows_of(each) for each in np.concatenate(parts)[: len(waveforms)]])


def trimmed(waveform: np.ndarray) -> np.ndarray:
    """A recording [S] without what is 35 dB below its loudest 25 ms at either end, and 30 ms on either side."""
    frame, hop = RATE // 40, RATE // 100
    count = max(1, 1 + (len(waveform) - frame) // hop)
    power = np.array([np.mean(np.square(waveform[hop * index : hop * index + frame])) for index in range(count)])
    loud = np.flatnonzero(power >= power.max() * 10**-3.5)
    margin = 3 * hop
    return waveform[max(0, hop * loud[0] - margin) : hop * loud[-1] + frame + margin]


def _take(word: np.ndarray, around: Surroundings, rng: np.random.Generator) -> np.ndarray:
    spoken = soxr.resample(word, RATE, RATE / rng.uniform(*PACES), quality="LQ").astype(np.float32)
    end = SAMPLES - round(rng.uniform((STEPS - 1) * STEP_SECONDS, LATEST) * RATE)
    spoken = spoken[-end:]
    clip: np.ndarray = np.zeros(SAMPLES, np.float32)
    start = end - len(spoken)
    clip[start:end] = spoken
    if len(around.speech) and rng.random() < 0.5:
        _speak_before(clip[: max(0, start - round(rng.uniform(0.02, 0.4) * RATE))], around.speech, _level(spoken), rng)
    clip = _other_microphone(clip, rng)
    if rng.random() < 0.6:
        clip = _in_room(clip, around.rooms[rng.integers(len(around.rooms))])
    noise = around.noise[rng.integers(len(around.noise))]
    noise = np.resize(np.roll(noise, rng.integers(len(noise))), SAMPLES)
    decibels = rng.uniform(0, 30) if rng.random() < 0.8 else rng.uniform(30, 50)
    clip = clip + noise * (_level(clip[start:end]) / max(_level(noise), 1e-9) * 10 ** (-decibels / 20))
    return (clip * (10 ** (rng.uniform(*LEVELS) / 20) / max(_level(clip), 1e-9))).clip(-1, 1).astype(np.float32)


def _speak_before(place: np.ndarray, speech: Sequence[np.ndarray], level: float, rng: np.random.Generator) -> None:
    """Fill what comes before the word with the end of other speech, about as loud."""
    other = speech[int(rng.integers(len(speech)))]
    stop = int(rng.integers(min(len(place), len(other)), len(other) + 1)) if len(other) else 0
    part = other[max(0, stop - len(place)) : stop]
    if len(part):
        place[len(place) - len(part) :] = part * (level / max(_level(part), 1e-9) * 10 ** (rng.uniform(-10, 5) / 20))


def _other_microphone(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change the level of each frequency by a smooth curve, up to about 6 dB either way."""
    spectrum = rfft(clip, size := next_fast_len(len(clip), real=True))
    place = np.linspace(0, 1, len(spectrum))
    curve = sum(rng.normal() * 2.5 / order * np.cos(np.pi * order * place) for order in (1, 2, 3))
    return irfft(spectrum * 10 ** (curve / 20), size)[: len(clip)].astype(np.float32)


def _in_room(clip: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolve with a room's response, whose direct path stays in its place."""
    direct = int(np.argmax(np.abs(response)))
    return fftconvolve(clip, response)[direct : direct + len(clip)].astype(np.float32)


def _level(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if len(waveform) else 0.0
