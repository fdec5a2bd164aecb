"""From recordings to text, by a recogniser and greedy or beam search."""

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.padding import gather
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.greedy import greedy
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.types import Ragged

Search = Callable[[np.ndarray, int], str]
"""(log-probabilities [T, C], frames) -> text."""
_ROWS = 8


def transcribe(recogniser: Recogniser, features: Sequence[np.ndarray], search: Search | None = None) -> list[str]:
    """The text of each recording, in the order given.

    Args:
      recogniser: recognises.
      features: log-mels [T, F] of each recording, T at least 1.
      search: how logits become text; None: the best path.
    """
    run = jax.jit(lambda params, inputs: _logits(recogniser, params, inputs))
    texts = [""] * len(features)
    # Recordings of about the same length together, padded to powers of two: few programs, little padding.
    order = sorted(range(len(features)), key=lambda row: len(features[row]))
    empty = np.zeros((0, recogniser.card.features.size), np.float32)  # fills the last batch up
    for start in range(0, len(order), _ROWS):
        rows = order[start : start + _ROWS]
        longest = 2 ** max(6, math.ceil(math.log2(len(features[rows[-1]]))))
        speech = pad_rows([*(features[row] for row in rows), *[empty] * (_ROWS - len(rows))], longest)
        logs, labels = jax.tree.map(np.asarray, run(recogniser.params, speech))
        for place, row in enumerate(rows):
            frames = int(recogniser.card.output_lengths(speech.lengths[place]))
            own = labels.values[place, : labels.lengths[place]]
            texts[row] = recogniser.vocabulary.decode(own) if search is None else search(logs[place], frames)
    return texts


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


def _logits(recogniser: Recogniser, params, inputs: Ragged):
    outputs, _ = recogniser.model.apply(params, {}, inputs, jax.random.key(0), False)
    return jax.nn.log_softmax(outputs.values), greedy(outputs)
