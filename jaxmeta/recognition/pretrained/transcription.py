"""Recordings of any length to text, by a public Whisper."""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from jaxmeta.data.features import extract
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser
from jaxmeta.recognition.segments.formats import Segment
from jaxmeta.recognition.segments.stretches import RATE, SpeechDetector, spans
from jaxmeta.types import Ragged

RATE_OF_MEMORY = 50
"""Frames that the encoder gives for a second."""
_AFTER, _STEP, _FRAMES, _TOKENS = 2.0, 250, 250, 15
"""Seconds after a recording that the decoder sees; frames of memory and of log-mels that batches are padded to a
multiple of; tokens a second."""
_ROWS = 16
"""Recordings that are recognised at once."""


def transcribe_each(
    recogniser: WhisperRecogniser,
    waveforms: Iterable[np.ndarray],
    language: str = "en",
    detect: SpeechDetector | None = None,
) -> Iterator[str]:
    """The text of each recording in turn, as soon as it is known; one recording is held at a time.

    Args:
      recogniser: recognises.
      waveforms: [S] at 16 kHz of each recording, S at least 1; taken as they are needed.
      language: ISO 639-1 code.
      detect: finds the speech in what is longer than 30 seconds; None: such recordings are cut at quiet places.
    """
    for waveform in waveforms:
        segments = transcribe_segments(recogniser, waveform, language, detect)
        yield " ".join(segment.text for segment in segments if segment.text)


def transcribe_segments(
    recogniser: WhisperRecogniser,
    waveform: np.ndarray,
    language: str = "en",
    detect: SpeechDetector | None = None,
    longest: float | None = None,
) -> Iterator[Segment]:
    """The text of each stretch of a recording with its time, as soon as it is known.

    Args:
      recogniser, language, detect: as in `transcribe_each`.
      waveform: [S] at 16 kHz, S at least 1.
      longest: seconds of the longest stretch, at most `window`; None: `window`.
    """
    for start, end in spans(waveform, detect, window(recogniser) if longest is None else longest):
        (text,) = write(recogniser, [encode(recogniser, waveform[start:end])], language)
        yield Segment(start / RATE, end / RATE, text)


def window(recogniser: WhisperRecogniser) -> float:
    """Seconds of the longest stretch that is recognised at once: 30 for public weights."""
    habits, whole = recogniser.habits, recogniser.config.max_source_positions / RATE_OF_MEMORY
    return min(whole - (habits.silence or 0), habits.longest or whole)


def encode(recogniser: WhisperRecogniser, waveform: np.ndarray) -> np.ndarray:
    """What the decoder looks at, [T, D], 50 frames a second.

    For public weights the recording is padded with silence for the encoder, as Whisper was trained. The decoder is
    shown the frames of the recording itself and of two seconds after it, which takes less time and makes it repeat
    itself less often. What was trained on short recordings gets no more silence than it is used to.
    Args:
      recogniser: encodes.
      waveform: [S] at 16 kHz, of at most `window` seconds.
    """
    if recogniser.habits.silence is not None:
        return encode_rows(recogniser, [extract(waveform, recogniser.features)])[0]
    whole = recogniser.config.max_source_positions * RATE // RATE_OF_MEMORY
    frames = extract(np.pad(waveform, (0, whole - len(waveform))), recogniser.features)
    memory = np.asarray(recogniser.encode(pad_rows([frames])).values[0])
    return memory[: math.ceil((len(waveform) / RATE + _AFTER) * RATE_OF_MEMORY)]


def encode_rows(recogniser: WhisperRecogniser, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What the decoder looks at for the log-mels [T, M] of several recordings, by a Whisper that takes short ones."""
    most = 2 * recogniser.config.max_source_positions - recogniser.silence
    longest = max(map(len, frames))
    values, lengths = recogniser.encode(pad_rows(frames, max(longest, min(most, -(-longest // _FRAMES) * _FRAMES))))
    return [row[:length] for row, length in zip(np.asarray(values), np.asarray(lengths), strict=True)]


def write_features(recogniser: WhisperRecogniser, frames: Sequence[np.ndarray], language: str = "en") -> list[str]:
    """The texts of log-mels [T, M] of several recordings, by a Whisper that takes short ones.

    What is longer than it takes at once is cut into equal parts.
    """
    most = int(window(recogniser) * recogniser.features.frame_rate)
    parts = [
        (row, part)
        for row, each in enumerate(frames)
        for part in np.array_split(np.asarray(each), -(-len(each) // most))
    ]
    # Recordings of about the same length together: little padding.
    order = sorted(range(len(parts)), key=lambda number: len(parts[number][1]))
    texts: dict[int, str] = {}
    for start in range(0, len(order), _ROWS):
        # The last batch is filled up with its last part.
        chosen = [order[min(place, len(order) - 1)] for place in range(start, start + _ROWS)]
        memory = encode_rows(recogniser, [parts[number][1] for number in chosen])
        texts |= dict(zip(chosen, write(recogniser, memory, language), strict=True))
    said: list[list[str]] = [[] for _ in frames]
    for number, (row, _) in enumerate(parts):
        said[row].append(texts[number])
    return [" ".join(filter(None, own)) for own in said]


def write(recogniser: WhisperRecogniser, memory: Sequence[np.ndarray], language: str = "en") -> list[str]:
    """The texts of what `encode` gives for several recordings.

    Fifteen tokens a second are more than anybody speaks, so that what the decoder repeats without end is cut off.
    """
    batch = pad_memory(memory)
    length = min(recogniser.longest, batch.values.shape[1] * _TOKENS // RATE_OF_MEMORY)
    return [recogniser.text(tokens) for tokens in recogniser.tokens(batch, language, length)]


def pad_memory(rows: Sequence[np.ndarray]) -> Ragged:
    """What `encode` gives for several recordings as one batch, padded to a multiple of 5 s: few programs."""
    longest = max(map(len, rows))
    return pad_rows(rows, -(-longest // _STEP) * _STEP)


def comparable(text: str) -> str:
    """A text without case and punctuation, so that errors are those of words and not of style.

    >>> comparable("Well, it's FIVE o'clock...")
    "well it's five o'clock"
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    letters = (each if each == "'" or unicodedata.category(each)[0] in "LMN" else " " for each in folded)
    return " ".join("".join(letters).split())
