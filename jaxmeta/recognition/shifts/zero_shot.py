"""The floor of adaptation to a language: a public Whisper of many languages, as it is, on recorded words."""

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.by_language import rows_of_language
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate
from jaxmeta.decoding.error_rates import word_edits
from jaxmeta.models.pretrained.whispers.taught import silent_after
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.pretrained.transcription import RATE_OF_MEMORY, comparable, write
from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser
from jaxmeta.types import Ragged

_AFTER = 2 * RATE_OF_MEMORY
"""Frames after an utterance that the decoder sees, as in `jaxmeta transcribe`."""
_ROWS = 10
"""Utterances that are recognised at once."""
_TATWEEL = "\u0640"
"""Stretches an Arabic word, and is no letter."""


def folded(text: str) -> str:
    """A text without case, punctuation and marks beside letters.

    >>> folded("Zwei, DREI!"), folded("مَــرحَبًا")
    ('zwei drei', 'مرحبا')
    """
    return "".join(each for each in comparable(text) if each != _TATWEEL and unicodedata.category(each)[0] != "M")


def in_words(text: str, spellings: Mapping[str, str]) -> str:
    """A transcript in words: each spelling becomes its word, wherever it stands, and what is between stays.

    Args:
      text: with or without spaces between words.
      spellings: folded spelling -> word.

    >>> in_words("這是北京，上海!", {"北京": "w0", "上海": "w1"})
    '這是 w0 w1'
    """
    pattern = "|".join(map(re.escape, sorted(spellings, key=len, reverse=True)))
    return " ".join(re.sub(pattern, lambda match: f" {spellings[match[0]]} ", folded(text)).split())


def zero_shot_row(
    whisper: WhisperRecogniser, corpus: Corpus, name: str, code: str, spellings: Mapping[str, str], count: int
) -> dict[str, Any]:
    """The share of words that a Whisper gets wrong without any adaptation, with its 95 % interval over speakers.

    Args:
      whisper: with the habits of public weights; every utterance is followed by silence up to its window.
      corpus: of the Whisper's log-mels; the utterances are those that `language_episodes` tests with the seed 0.
      name: of the language in the corpus.
      code: of the language for Whisper, ISO 639-1.
      spellings: as in `in_words`; words as the corpus has them.
      count: utterances, or as many as there are.
    """
    rows = np.random.default_rng(0).permutation(rows_of_language(corpus, name, "test", 400))[:count]
    texts: list[str] = []
    with progress_bar(f"{name}, zero shot", len(rows), unit="utterances") as advance:
        for start in range(0, len(rows), _ROWS):
            memory = []
            for row in rows[start : start + _ROWS]:
                memory.append(_encoded(whisper, corpus.frames[corpus.start[row] :][: corpus.length[row]]))
                advance(1)
            texts += write(whisper, memory, code)
    said = corpus.columns["transcription"][rows].tolist()
    edits = word_edits(said, [in_words(text, spellings) for text in texts])
    named = {"shift": name, "method": f"Whisper as it is, --language {code}", "utterances": 0}
    return named | bootstrap_rate(edits, corpus.columns["speaker"][rows].tolist()).columns("error")


def _encoded(whisper: WhisperRecogniser, frames: np.ndarray) -> np.ndarray:
    speech = Ragged(jnp.asarray(frames[None], jnp.float32), jnp.array([len(frames)]))
    window = silent_after(speech, 2 * whisper.config.max_source_positions - len(frames))
    return np.asarray(whisper.encode(window).values[0])[: math.ceil(len(frames) / 2) + _AFTER]
