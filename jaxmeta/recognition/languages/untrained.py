"""Translation without any training of ours: by the nearest known utterance, and by Whisper's own decoder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmeta import MetaLearner
from jaxmeta.data.audio import read_audio
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes
from jaxmeta.data.synthesis.numerals import numeral
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.languages import scores
from jaxmeta.evaluation.transcripts import Transcripts
from jaxmeta.models.layers import apply_mask
from jaxmeta.recognition.pretrained.whisper import load_whisper
from jaxmeta.types import Array, Ragged

CODES = {"cmn": "zh"}
"""espeak-ng's code of a language -> Whisper's, where they differ."""
BATCH = 8


def nearest_utterance(corpus: Corpus) -> ChosenMethod:
    """Writes what the utterance says, of those it is given, whose mean frame is most alike by its cosine.

    Without utterances it writes nothing.
    Args:
      corpus: of other utterances, whose mean frame is taken from all.
    """
    rows = zip(corpus.start, corpus.length, strict=True)
    means = [corpus.frames[start : start + length].mean(0, dtype=np.float32) for start, length in rows]
    return ChosenMethod("nearest utterance", _nearest, np.mean(means, axis=0), 0.0, 0)


def whisper_rows(base: Path, folder: Path, episodes: AdaptationEpisodes, count: Callable) -> list[dict[str, Any]]:
    """Rows of a table of languages: the English that Whisper's own decoder writes, which is told the language.

    Args:
      base: folder of a Whisper of many languages.
      folder: of the recordings.
      episodes: of numbers, each group of a language.
      count: (references, hypotheses) -> edits.
    """
    whisper, corpus, table = load_whisper(base), episodes.corpus, []
    for language, rows in {group.name.partition("/")[0]: group.query for group in episodes.groups}.items():
        paths = [folder / name for name in corpus.columns["file_name"][rows].tolist()]
        texts: list[str] = []
        for first in range(0, len(rows), BATCH):
            # The last batch is filled up, so that one program serves all.
            some = (paths[first : first + BATCH] * BATCH)[:BATCH]
            waveforms = [read_audio(path, whisper.features.sample_rate) for path in some]
            texts += whisper.transcribe(waveforms, CODES.get(language, language), length=20, task="translate")
        said, speakers = (corpus.columns[name][rows].tolist() for name in ("transcription", "speaker"))
        named = {"language": language, "utterances": 0, "method": "Whisper's decoder", "rate": 0.0, "steps": 0}
        texts = [in_words(text) for text in texts[: len(rows)]]
        table.append(named | scores(Transcripts(said, texts, speakers), None, count))
    return table


def in_words(text: str) -> str:
    """A text in small letters without marks, whose numbers below 100 are words.

    >>> in_words("Forty-one, 42.")
    'forty one forty two'
    """
    words = re.findall(r"\d+|[^\W\d_']+", text.lower())
    return " ".join(_number(word) if word.isdecimal() and int(word) < 100 else word for word in words)


def _number(digits: str) -> str:
    return numeral(int(digits), "en-us").replace("-", " ")


def _nearest(rate: float, steps: int) -> MetaLearner:
    """Params are the mean frame of other utterances."""

    def adapt(params, state, support, key):
        return (_direction(params, support.inputs), support.targets, support.weight), {}

    def predict(params, state, fast, inputs, key, train):
        known, labels, weight = fast
        alike = jnp.where(weight > 0, _direction(params, inputs) @ known.T, -jnp.inf)
        best = alike.argmax(1)
        return Ragged(labels.values[best], jnp.where(weight.any(), labels.lengths[best], 0)), state

    def untrained(*args):
        raise NotImplementedError("the nearest utterance has nothing to train.")

    return MetaLearner(untrained, adapt, predict, untrained)


def _direction(mean: Array, frames: Ragged) -> Array:
    """[N, D] the mean frame of each row, less another one, of length 1."""
    values = apply_mask(frames.values, frames.lengths).sum(1) / jnp.maximum(frames.lengths, 1)[:, None] - mean
    return values / jnp.linalg.norm(values, axis=1, keepdims=True)
