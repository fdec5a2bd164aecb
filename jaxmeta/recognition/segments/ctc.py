"""Recordings of any length by a CTC recogniser, in stretches whose times are known."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from jaxmeta.data.features import extract
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.recognition.segments.formats import Segment
from jaxmeta.recognition.segments.stretches import Span, SpeechDetector, spans
from jaxmeta.recognition.transcription import STRETCH, Search, transcribe_each


class Pieces(NamedTuple):
    """A recording cut into stretches."""

    spans: list[Span]
    """First sample of each, and the first one after it."""
    features: list[np.ndarray]
    """[T, F] of each."""


def window(recogniser: Recogniser) -> float:
    """Seconds that the network sees at once."""
    card = recogniser.card
    return (min(STRETCH, card.longest or STRETCH) - 1) / card.features.frame_rate


def cut(
    recogniser: Recogniser,
    waveform: np.ndarray,
    detect: SpeechDetector | None = None,
    longest: float | None = None,
) -> Pieces:
    """A recording in stretches, with their features.

    Where a detector leaves out what is no speech, each stretch is normalised by itself, as an utterance is in
    training. Else all are normalised together, so that noise between utterances is not amplified.
    Args:
      recogniser: whose features are used.
      waveform: [S] at the sample rate of these, S at least 1.
      detect: finds the speech in a longer recording; None: it is cut at quiet places.
      longest: seconds of the longest stretch; None: `window`.
    Raises:
      ValueError: features are not finite.
    """
    config = recogniser.card.features
    seconds = window(recogniser) if longest is None else longest
    found = spans(waveform, detect, seconds, rate=config.sample_rate)
    if found == [(0, len(waveform))]:
        return Pieces(found, [extract(waveform, config)])
    if detect is not None:
        return Pieces(found, [extract(waveform[start:end], config) for start, end in found])
    frames = extract(waveform, replace(config, trim_db=None))
    # Some features have no frame for what is left of a hop at the end.
    borders = [min(start // config.hop_length, len(frames) - 1) for start, _ in found[1:]]
    return Pieces(found, np.split(frames, borders))


def transcribe_pieces(
    recogniser: Recogniser, recordings: Iterable[Pieces], search: Search | None = None
) -> Iterator[Segment | None]:
    """The text of each stretch with its time, and None after the last one of each recording.

    Args:
      recogniser: recognises.
      recordings: cut by `cut`; taken as they are needed, for stretches of several share a batch.
      search: how logits become text; None: the best path.
    """
    rate = recogniser.card.features.sample_rate
    waiting: deque[Span | None] = deque()

    def features() -> Iterator[np.ndarray]:
        for recording in recordings:
            waiting.extend([*recording.spans, None])
            yield from recording.features

    for text in transcribe_each(recogniser, features(), search):
        while (span := waiting.popleft()) is None:
            yield None
        yield Segment(span[0] / rate, span[1] / rate, text)
        while waiting and waiting[0] is None:
            waiting.popleft()
            yield None
    yield from (None for _ in waiting)
