"""From recordings of any length to text, by a recogniser and greedy or beam search."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.padding import gather
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.greedy import best_path
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.types import Ragged

Search = Callable[[np.ndarray, int], str]
"""(log-probabilities [T, C], frames) -> text."""
STRETCH, OVERLAP = 4096, 512
"""Frames that a network sees at once, at most, and how many of them it sees twice: 41 and 5 seconds at 100 frames/s."""
_ROWS = 8


def transcribe(recogniser: Recogniser, features: Sequence[np.ndarray], search: Search | None = None) -> list[str]:
    """The text of each recording, in the order given.

    Args:
      recogniser: recognises.
      features: log-mels [T, F] of each recording, T at least 1.
      search: how logits become text; None: the best path.
    """
    # Recordings of about the same length together: little padding.
    order = sorted(range(len(features)), key=lambda row: len(features[row]))
    texts = dict(zip(order, transcribe_each(recogniser, (features[row] for row in order), search), strict=True))
    return [texts[row] for row in range(len(features))]


def transcribe_rows(
    corpus: Corpus,
    vocabulary: Vocabulary,
    rows: np.ndarray,
    padded: int,
    recognise: Callable[[Ragged], Ragged],
    size: int = 32,
) -> list[str]:
    """The texts of some rows of a corpus, `size` at a time, so that one program does.

    Args:
      corpus: of the recordings.
      vocabulary: of the texts.
      rows: of no more than `padded` frames.
      padded: frames of a batch.
      recognise: speech [size, padded, F] -> labels.
      size: of a batch.
    """
    texts: list[str] = []
    for start in range(0, len(rows), size):
        # The last batch is filled up with its last utterance.
        chosen = rows[np.minimum(np.arange(start, start + size), len(rows) - 1)]
        texts += vocabulary.decode_rows(recognise(gather(corpus, chosen, padded)))
    return texts[: len(rows)]


def transcribe_each(
    recogniser: Recogniser, features: Iterable[np.ndarray], search: Search | None = None
) -> Iterator[str]:
    """The text of each recording in turn, the first one as soon as it is known; a few recordings are held at a time.

    What is longer than `STRETCH` frames is recognised in stretches that overlap, whose logits are joined in the middle
    of each overlap: memory does not grow with the length of a recording.

    Args:
      recogniser: recognises.
      features: log-mels [T, F] of each recording, T at least 1; taken as they are needed.
      search: how logits become text; None: the best path.
    """
    recognised = log_probabilities(recogniser)
    waiting: list[np.ndarray] = []
    least = 1  # The first recording alone, for people wait for it.
    for frames in features:
        waiting.append(frames)
        if sum(len(_starts(recogniser, len(each))) for each in waiting) >= least:
            yield from _texts(recogniser, recognised(waiting), search)
            waiting, least = [], _ROWS
    yield from _texts(recogniser, recognised(waiting), search)


def _texts(recogniser: Recogniser, logs: Iterable[np.ndarray], search: Search | None) -> Iterator[str]:
    for each in logs:
        yield recogniser.vocabulary.decode(best_path(each)) if search is None else search(each, len(each))


def log_probabilities(recogniser: Recogniser) -> Callable[[Sequence[np.ndarray]], Iterator[np.ndarray]]:
    """Features [T, F] of recordings to log-probabilities [T', C] of each, T' by the network's subsampling.

    What is returned holds compiled programs; keep it for further recordings.
    """
    empty = np.zeros((0, recogniser.card.features.size), np.float32)  # fills the last batch up

    @jax.jit
    def run(params, speech: Ragged):
        outputs, _ = recogniser.model.apply(params, {}, speech, jax.random.key(0), False)
        return jax.nn.log_softmax(outputs.values)

    def logs(stretches: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        for first in range(0, len(stretches), _ROWS):
            rows = stretches[first : first + _ROWS]
            longest = 2 ** max(6, math.ceil(math.log2(max(map(len, rows)))))  # Few programs.
            longest = min(longest, recogniser.card.longest or longest)
            speech = pad_rows([*rows, *[empty] * (_ROWS - len(rows))], longest)
            for row, values in zip(rows, np.asarray(run(recogniser.params, speech)), strict=False):
                yield values[: int(recogniser.card.output_lengths(len(row)))]

    def recognised(recordings: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        starts = [_starts(recogniser, len(frames)) for frames in recordings]
        stretches = [
            frames[start : start + _stretch(recogniser)[0]]
            for frames, own in zip(recordings, starts, strict=True)
            for start in own
        ]
        outputs = logs(stretches)
        for own in starts:
            yield _joined([next(outputs) for _ in own], own, recogniser)

    return recognised


def _stretch(recogniser: Recogniser) -> tuple[int, int]:
    """Frames that this network sees at once, at most, and how many of them it sees twice."""
    most = min(STRETCH, recogniser.card.longest or STRETCH)
    return most, OVERLAP * most // STRETCH


def _starts(recogniser: Recogniser, length: int) -> range:
    """First frames of the stretches of a recording; each is the first of a frame of the logits."""
    most, overlap = _stretch(recogniser)
    step = (most - overlap) // recogniser.card.subsampling * recogniser.card.subsampling
    return range(0, max(length - overlap, 1) if length > most else 1, step)


def _joined(pieces: Sequence[np.ndarray], starts: Sequence[int], recogniser: Recogniser) -> np.ndarray:
    """The logits of overlapping stretches as those of one recording: of an overlap, half from each side."""
    subsampling, half = recogniser.card.subsampling, _stretch(recogniser)[1] // 2
    borders = [0, *((start + half) // subsampling for start in starts[1:])]
    ends: list[int | None] = [*borders[1:], None]
    return np.concatenate([
        piece[border - start // subsampling : None if end is None else end - start // subsampling]
        for piece, start, border, end in zip(pieces, starts, borders, ends, strict=True)
    ])  # fmt: skip
