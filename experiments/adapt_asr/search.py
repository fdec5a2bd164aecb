"""Does a language model help? Words found with an n-gram of the training transcripts, against greedy search."""

import itertools
import sys
from pathlib import Path

import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.decoding.error_rate_intervals import paired_difference
from jaxmeta.decoding.error_rates import Edits, error_rate, word_edits
from jaxmeta.decoding.ngram import train_ngram, write_arpa
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.recognition.searching import word_search
from jaxmeta.recognition.transcription import transcribe

ORDER = 3
GRID = tuple(itertools.product((0.3, 0.6, 1.0), (0.0, 1.0, 2.0)))
"""Weights of the language model, and nats for each word."""


def language_model(one: Recogniser, train: Corpus, held_out: Corpus, folder: Path) -> dict:
    """Word error rates by greedy search and with a language model, on speakers that neither was trained on.

    The weights of the search are cross-fitted: those for one half of the speakers are chosen on the other half.
    """
    arpa = folder / "words.arpa"
    write_arpa(train_ngram([text.split() for text in train.columns["transcription"].tolist()], ORDER), arpa)
    said = held_out.columns["transcription"].tolist()
    features = [
        held_out.frames[start : start + length] for start, length in zip(held_out.start, held_out.length, strict=True)
    ]
    greedy, found = word_edits(said, transcribe(one, features)), []
    with progress_bar("search with a language model", len(GRID)) as advance:
        for weight, score in GRID:
            search = word_search(one.vocabulary, arpa, lm_weight=weight, word_score=score)
            found.append(word_edits(said, transcribe(one, features, search)))
            advance(1)
    speakers = held_out.columns["speaker"]
    searched = cross_fitted(found, speakers)
    change = paired_difference(greedy, searched, speakers)
    print(f"language model: word error rate {error_rate(greedy):.1f} -> {error_rate(searched):.1f} %", file=sys.stderr)
    return {
        "method": "language model", "greedy": error_rate(greedy), "searched": error_rate(searched),
        "change": change.value, "change_low": change.low, "change_high": change.high,
    }  # fmt: skip


def cross_fitted(found: list[Edits], speakers: np.ndarray) -> Edits:
    """Edits of each half of the speakers under the setting that was best on the other half."""
    half = np.isin(speakers, np.unique(speakers)[::2])
    chosen = []
    for mine in (half, ~half):
        best = min(found, key=lambda edits: int(edits.errors[~mine].sum()))
        chosen.append(Edits(*(np.where(mine, counts, 0) for counts in best)))
    return Edits(*(first + second for first, second in zip(*chosen, strict=True)))
