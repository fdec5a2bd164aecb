"""Long recordings in stretches that a network with a largest length takes, cut where nobody speaks."""

from collections.abc import Callable
from pathlib import Path

import jax
import librosa
import numpy as np

from jaxmeta.models.pretrained.voice_activity import CHUNK, read_voice_activity, voice_activity
from jaxmeta.padding import pad_rows

RATE = 16_000
_HOPS = 50
"""Pieces of a second whose power is summed up; a cut lies between two such pieces."""
_QUIET = 10
"""Pieces around a cut that are quiet together, 0.2 s."""
_SPEECH, _GAP, _MARGIN = 0.5, 16, 6
"""Probability of speech; chunks of silence that part two utterances (0.5 s); chunks before and after one (0.2 s)."""
_BLOCK = 1_920 * CHUNK
"""Samples that the detector sees at once, one minute."""
Span = tuple[int, int]
"""First sample of a stretch, and the first one after it."""
SpeechDetector = Callable[[np.ndarray], np.ndarray]
"""Waveform [S] at 16 kHz -> probability of speech in each 32 ms, [ceil(S / 512)]."""


def stretches(
    waveform: np.ndarray, detect: SpeechDetector | None = None, seconds: float = 30.0, search: float = 5.0
) -> list[np.ndarray]:
    """A waveform at 16 kHz in stretches of at most `seconds`, as `spans` cuts it.

    >>> [len(each) / RATE for each in stretches(np.ones(70 * RATE), search=1.0)]
    [29.1, 29.1, 11.8]
    """
    return [waveform[start:end] for start, end in spans(waveform, detect, seconds, search)]


def spans(
    waveform: np.ndarray,
    detect: SpeechDetector | None = None,
    seconds: float = 30.0,
    search: float | None = None,
    rate: int = RATE,
) -> list[Span]:
    """Where the stretches of a waveform lie, each of at most `seconds`; a shorter waveform stays as it is.

    Args:
      waveform: [S].
      detect: leaves out what is no speech; None: everything stays, and a cut lies at the quietest place.
      seconds: longest stretch.
      search: seconds before the end of a stretch in which the quietest place is looked for; None: a sixth of `seconds`,
        but a second at least.
      rate: samples of the waveform in a second.

    >>> spans(np.ones(9 * RATE), seconds=6.0, search=2.0)
    [(0, 65600), (65600, 144000)]
    """
    most = int(seconds * rate)
    if len(waveform) <= most:
        return [(0, len(waveform))]
    search = min(max(seconds / 6, 1.0), seconds / 2) if search is None else search
    whole = [(0, len(waveform))]
    speech = whole if detect is None else _packed(_spoken(waveform, detect, rate), most)
    return [
        (start + first, start + last)
        for start, end in speech
        for first, last in _cut(waveform[start:end], most, int(search * rate), rate // _HOPS)
    ]


def utterances(
    waveform: np.ndarray, detect: SpeechDetector | None = None, seconds: float = 30.0, search: float = 5.0
) -> list[Span]:
    """Where the utterances of a waveform lie; parted by half a second without speech or more.

    Args:
      waveform: [S] at 16 kHz.
      detect: says where speech is; None: nobody knows, and the waveform is cut at quiet places alone.
      seconds: longest utterance; a longer one is cut at the quietest place.
      search: seconds before the end of a stretch in which the quietest place is looked for; below `seconds`.
    """
    whole = [(0, len(waveform))]
    return [
        (start + first, start + last)
        for start, end in (whole if detect is None else _spoken(waveform, detect, RATE))
        for first, last in _cut(waveform[start:end], int(seconds * RATE), int(search * RATE), RATE // _HOPS)
    ]


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


def _cut(waveform: np.ndarray, most: int, search: int, hop: int) -> list[Span]:
    pieces, start = [], 0
    while len(waveform) - start > most:
        border = start + most - search
        power = np.square(waveform[border : start + most - search % hop]).reshape(-1, hop).sum(axis=1)
        quiet = np.convolve(power, np.ones(min(_QUIET, len(power))), "valid")
        end = border + (int(np.argmin(quiet)) + _QUIET // 2) * hop
        pieces.append((start, end))
        start = end
    return [*pieces, (start, len(waveform))]


def _spoken(waveform: np.ndarray, detect: SpeechDetector, rate: int) -> list[Span]:
    """The utterances of a waveform at any rate, within its bounds."""
    sampled = librosa.resample(waveform, orig_sr=rate, target_sr=RATE, res_type="soxr_hq")  # Itself at 16 kHz.
    utterances = _utterances(detect(sampled))
    bounded = [(start * rate // RATE, min(end * rate // RATE, len(waveform))) for start, end in utterances]
    return [(start, end) for start, end in bounded if start < end]


def _utterances(probabilities: np.ndarray) -> list[Span]:
    """First and last sample of each stretch of speech, with a margin; short gaps do not part them."""
    chunks = np.flatnonzero(probabilities >= _SPEECH)
    if not len(chunks):
        return []
    parts = np.split(chunks, np.flatnonzero(np.diff(chunks) > _GAP) + 1)
    return [(max(0, int(part[0]) - _MARGIN) * CHUNK, (int(part[-1]) + 1 + _MARGIN) * CHUNK) for part in parts]


def _packed(utterances: list[Span], most: int) -> list[Span]:
    """Neighbours joined as long as they fit into one stretch: fewer calls, and more context."""
    packed: list[Span] = []
    for start, end in utterances:
        if packed and end - packed[-1][0] <= most:
            packed[-1] = (packed[-1][0], end)
        else:
            packed.append((start, end))
    return packed
