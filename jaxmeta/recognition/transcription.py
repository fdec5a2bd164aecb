"""From recordings to text, by a recogniser and greedy or beam search."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import soundfile

from jaxmeta.data.audio import AudioError, decode
from jaxmeta.data.features import extract
from jaxmeta.decoding.greedy import greedy
from jaxmeta.models.acoustic import output_lengths
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.types import Ragged

Search = Callable[[np.ndarray, int], str]
"""(log-probabilities [T, C], frames) -> text."""
_ROWS = 8


def transcribe(one: Recogniser, features: Sequence[np.ndarray], search: Search | None = None) -> list[str]:
    """The text of each recording, in the order given.

    Args:
      one: the recogniser.
      features: log-mels [T, F] of each recording, T at least 1.
      search: how logits become text; None: the best path.
    """
    run = jax.jit(lambda params, inputs: _logits(one, params, inputs))
    texts = [""] * len(features)
    # Recordings of about the same length together, padded to powers of two: few programs, little padding.
    order = sorted(range(len(features)), key=lambda row: len(features[row]))
    for start in range(0, len(order), _ROWS):
        rows = order[start : start + _ROWS]
        longest = 2 ** max(6, math.ceil(math.log2(len(features[rows[-1]]))))
        values: Any = np.zeros((_ROWS, longest, one.card.features.size), np.float32)
        lengths: Any = np.zeros(_ROWS, np.int32)
        for place, row in enumerate(rows):
            values[place, : len(features[row])] = features[row]
            lengths[place] = len(features[row])
        logs, labels = jax.tree.map(np.asarray, run(one.params, Ragged(values, lengths)))
        for place, row in enumerate(rows):
            frames = int(output_lengths(lengths[place]))
            own = labels.values[place, : labels.lengths[place]]
            texts[row] = one.vocabulary.decode(own) if search is None else search(logs[place], frames)
    return texts


def read_features(
    one: Recogniser,
    files: Sequence[str | Path],
    where: Callable[[int], str] | None = None,
    *,
    resample: bool = False,
) -> list[np.ndarray]:
    """Features of audio files as the recogniser wants them.

    Args:
      one: the recogniser.
      files: audio files.
      where: names the row of a file for errors.
      resample: take other sample rates too; a lower one lacks the upper bands that the recogniser was trained with.
    Raises:
      AudioError: a file cannot be used, or has another sample rate; names it.
    """
    rate, found = one.card.features.sample_rate, []
    for index, file in enumerate(files):
        place = f"{file}" if where is None else f"{where(index)}: {file}"
        try:
            waveform, _ = decode(file, rate)
            own = soundfile.info(file).samplerate
            if own != rate and not resample:
                raise AudioError(f"is at {own} Hz and the recogniser at {rate} Hz; give --resample to convert it.")
            found.append(extract(waveform, one.card.features))
        except ValueError as error:
            raise AudioError(f"{place}: {error}") from error
    return found


def _logits(one: Recogniser, params, inputs: Ragged):
    outputs, _ = one.model.apply(params, {}, inputs, jax.random.key(0), False)
    return jax.nn.log_softmax(outputs.values), greedy(outputs)
