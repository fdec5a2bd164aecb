"""Long recordings in stretches that a network with a largest length takes, cut where nobody speaks."""

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from jaxmeta.models.pretrained.voice_activity import CHUNK, read_voice_activity, voice_activity
from jaxmeta.padding import pad_rows

RATE = 16_000
_HOP = 320
"""Samples whose power is summed up; a cut lies between two such pieces."""
_QUIET = 10
"""Pieces around a cut that are quiet together, 0.2 s."""
_SPEECH, _GAP, _MARGIN = 0.5, 16, 6
"""Probability of speech; chunks of silence that part two utterances (0.5 s); chunks before and after one (0.2 s)."""
_BLOCK = 1_920 * CHUNK
"""Samples that the detector sees at once, one minute."""
SpeechDetector = Callable[[np.ndarray], np.ndarray]
"""Waveform [S] at 16 kHz -> probability of speech in each 32 ms, [ceil(S / 512)]."""


def stretches(
    waveform: np.ndarray, detect: SpeechDetector | None = None, seconds: float = 30.0, search: float = 5.0
) -> list[np.ndarray]:
    """A waveform in stretches of at most `seconds`; a shorter one stays as it is.

    Args:
      waveform: [S] at 16 kHz.
      detect: leaves out what is no speech; None: everything stays, and a cut lies at the quietest place.
      seconds: longest stretch.
      search: seconds before the end of a stretch in which the quietest place is looked for.

    >>> [len(each) / RATE for each in stretches(np.ones(70 * RATE), search=1.0)]
    [29.1, 29.1, 11.8]
    """
    most = int(seconds * RATE)
    if len(waveform) <= most:
        return [waveform]
    spans = [(0, len(waveform))] if detect is None else _packed(_utterances(detect(waveform)), most)
    return [waveform[start:end] for span in spans for start, end in _cut(waveform, span, most, int(search * RATE))]


def utterances(
    waveform: np.ndarray, detect: SpeechDetector | None = None, seconds: float = 30.0, search: float = 5.0
) -> list[tuple[int, int]]:
    """First sample, and the one after the last, of each utterance; parted by half a second without speech or more.

    Args:
      waveform: [S] at 16 kHz.
      detect: says where speech is; None: nobody knows, and the waveform is cut at quiet places alone.
      seconds: longest utterance; a longer one is cut at the quietest place.
      search: seconds before the end of a stretch in which the quietest place is looked for; below `seconds`.
    """
    spans = [(0, len(waveform))] if detect is None else _utterances(detect(waveform))
    return [each for span in spans for each in _cut(waveform, span, int(seconds * RATE), int(search * RATE))]


def load_detector(path: str | Path) -> SpeechDetector:
    """The voice activity detector of a file of weights; raises as `read_voice_activity` does."""
    params = read_voice_activity(path)
    apply = jax.jit(lambda waveforms: voice_activity().apply(params, {}, waveforms, jax.random.key(0), False)[0].values)

    def detect(waveform: np.ndarray) -> np.ndarray:
        probabilities = []
        for start in range(0, len(waveform), _BLOCK):
            block = waveform[start : start + _BLOCK]
            values = np.asarray(apply(pad_rows([block], _BLOCK)))[0]
            probabilities.append(values[: -(-len(block) // CHUNK)])
        return np.concatenate(probabilities)

    return detect


def _cut(waveform: np.ndarray, span: tuple[int, int], most: int, search: int) -> list[tuple[int, int]]:
    """A span of the waveform in spans of at most so many samples."""
    pieces, start = [], span[0]
    last = min(span[1], len(waveform))
    while last - start > most:
        border = start + most - search
        power = np.square(waveform[border : start + most - search % _HOP]).reshape(-1, _HOP).sum(axis=1)
        quiet = np.convolve(power, np.ones(min(_QUIET, len(power))), "valid")
        end = border + (int(np.argmin(quiet)) + _QUIET // 2) * _HOP
        pieces.append((start, end))
        start = end
    return [*pieces, (start, last)] if last > start else pieces


def _utterances(probabilities: np.ndarray) -> list[tuple[int, int]]:
    """First and last sample of each stretch of speech, with a margin; short gaps do not part them."""
    chunks = np.flatnonzero(probabilities >= _SPEECH)
    if not len(chunks):
        return []
    parts = np.split(chunks, np.flatnonzero(np.diff(chunks) > _GAP) + 1)
    return [(max(0, int(part[0]) - _MARGIN) * CHUNK, (int(part[-1]) + 1 + _MARGIN) * CHUNK) for part in parts]


def _packed(spans: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Neighbouring spans joined as long as they fit into one stretch: fewer calls, and more context."""
    packed: list[tuple[int, int]] = []
    for start, end in spans:
        if packed and end - packed[-1][0] <= most:
            packed[-1] = (packed[-1][0], end)
        else:
            packed.append((start, end))
    return packed
