"""Search with a language model of words over the outputs of a recogniser of characters, and what it is worth."""

import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.beam import ctc_beam
from jaxmeta.decoding.error_rate_intervals import paired_difference
from jaxmeta.decoding.error_rates import Edits, error_rate, word_edits
from jaxmeta.decoding.ngram import arpa_words, train_ngram, write_arpa
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.recognition.transcription import Search, transcribe

ORDER = 3
GRID = tuple(itertools.product((0.3, 0.6, 1.0), (0.0, 1.0, 2.0)))
"""Weights of the language model, and nats for each word, that `search_gain` chooses from."""


def word_search(vocabulary: Vocabulary, arpa: str | os.PathLike[str], **options: Any) -> Search:
    """The likeliest sequence of the words of an ARPA file; words with other characters than the vocabulary's are out.

    Args:
      vocabulary: of characters, with " ".
      arpa: n-gram model of words, such as `train_ngram` and `write_arpa` make.
      options: of `ctc_beam`: beam, lm_weight, word_score.
    Raises:
      ValueError: the vocabulary is not of characters, or none of the words can be spelled with it; else as `ctc_beam`.
    """
    known = set(vocabulary.units)
    if " " not in known:
        raise ValueError(
            f"a search for words needs a recogniser of characters with a space; its units are {vocabulary.units}."
        )
    words = [word for word in arpa_words(arpa) if not word.startswith("<") and set(word) <= known]
    if not words:
        raise ValueError(
            f"{arpa}: none of its words is spelled with the recogniser's characters; is the case the same?"
        )
    search = ctc_beam(vocabulary.units, arpa=arpa, lexicon={word: word for word in words}, **options)

    def best(logs: np.ndarray, frames: int) -> str:
        hypotheses = search(logs, frames)
        return " ".join(hypotheses[0].words) if hypotheses else ""

    return best


def search_gain(recogniser: Recogniser, train: Corpus, held_out: Corpus, arpa: Path) -> dict[str, Any]:
    """Word error rates by greedy search and with a language model, on speakers that neither was trained on.

    The weights of the search are cross-fitted: those for one half of the speakers are chosen on the other half.
    Args:
      recogniser: of characters.
      train: whose transcripts the language model is estimated from.
      held_out: utterances to recognise.
      arpa: the file that the language model is written to.
    Returns:
      `greedy` and `searched`, in percent, and `change`, in points, with its 95 % interval over speakers.
    """
    write_arpa(train_ngram([text.split() for text in train.columns["transcription"].tolist()], ORDER), arpa)
    references, speakers = held_out.columns["transcription"].tolist(), held_out.columns["speaker"]
    spans = zip(held_out.start, held_out.length, strict=True)
    features = [held_out.frames[start : start + length] for start, length in spans]
    greedy, searches = word_edits(references, transcribe(recogniser, features)), []
    with progress_bar("search with a language model", len(GRID)) as advance:
        for weight, score in GRID:
            search = word_search(recogniser.vocabulary, arpa, lm_weight=weight, word_score=score)
            searches.append(word_edits(references, transcribe(recogniser, features, search)))
            advance(1)
    searched = cross_fitted(searches, speakers)
    print(f"language model: word error rate {error_rate(greedy):.1f} -> {error_rate(searched):.1f} %", file=sys.stderr)
    change = paired_difference(greedy, searched, speakers.tolist())
    return {"greedy": error_rate(greedy), "searched": error_rate(searched)} | change.columns("change")


def cross_fitted(settings: Sequence[Edits], speakers: np.ndarray) -> Edits:
    """Edits of each half of the speakers under the setting that was best on the other half."""
    half = np.isin(speakers, np.unique(speakers)[::2])
    parts = []
    for own in (half, ~half):
        best = min(settings, key=lambda edits: int(edits.errors[~own].sum()))
        parts.append(Edits(*(np.where(own, counts, 0) for counts in best)))
    return Edits(*(first + second for first, second in zip(*parts, strict=True)))
