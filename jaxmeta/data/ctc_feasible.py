"""Finds utterances that are too short for CTC: no alignment gives each of their labels a frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxmeta.data.audio import say_once
from jaxmeta.data.sampling.transcribed import encode_column, recording_name

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus
    from jaxmeta.data.vocabulary import Vocabulary

_LISTED = 3


class Infeasible(NamedTuple):
    """An utterance that CTC cannot align."""

    row: int
    """Of the corpus."""
    message: str
    """Names the recording, its output frames and what they would have to hold."""


def infeasible(
    corpus: Corpus, vocabulary: Vocabulary, frames_out: Callable[[Any], Any], *, column: str = "transcription"
) -> list[Infeasible]:
    """The utterances whose output frames are fewer than their labels and the blanks between equal neighbours.

    On such a row a CTC loss is a number of about 1e5 with gradients that are finite and mean nothing.
    Args:
      corpus: R utterances.
      vocabulary: of the texts.
      frames_out: the network's output frames [R] for lengths [R] int32 of its inputs.
      column: the column of the texts.
    Raises:
      ValueError: frames_out returns another shape; else as `encode_column`.
    Source: Graves et al. 2006, "Connectionist temporal classification", section 3.1.
    """
    labels = encode_column(corpus, vocabulary, column)
    values, lengths = np.asarray(labels.values), np.asarray(labels.lengths)
    frames = np.asarray(frames_out(corpus.length.astype(np.int32)))
    if frames.shape != lengths.shape:
        raise ValueError(f"frames_out must map lengths {lengths.shape} to as many, got shape {frames.shape}.")
    inside = np.arange(1, values.shape[1]) < lengths[:, None]
    repeats = ((values[:, 1:] == values[:, :-1]) & inside).sum(axis=1)
    return [
        Infeasible(
            row,
            f"{recording_name(corpus, row)} has {frames[row]} output frames for {lengths[row]} labels"
            + (f" and {repeats[row]} between equal ones" if repeats[row] else ""),
        )
        for row in np.flatnonzero(frames < lengths + repeats).tolist()
    ]


def drop_infeasible(
    corpus: Corpus, vocabulary: Vocabulary, frames_out: Callable[[Any], Any], *, column: str = "transcription"
) -> Corpus:
    """The corpus without those utterances; logs (logger "jaxmeta", once a process) how many, and the first of them.

    Raises:
      ValueError: no utterance is left; else as `infeasible`.
    """
    failures = infeasible(corpus, vocabulary, frames_out, column=column)
    if not failures:
        return corpus
    listed = "; ".join(utterance.message for utterance in failures[:_LISTED]) + (
        "; and others" if len(failures) > _LISTED else ""
    )
    if len(failures) == len(corpus):
        raise ValueError(
            f"CTC can align none of {len(corpus):,} utterances: {listed}. Use a network with more output frames."
        )
    message = f"{len(failures):,} of {len(corpus):,} utterances are left out, for CTC cannot align them: {listed}."
    say_once(message, topic=message)
    keep = np.ones(len(corpus), bool)
    keep[[utterance.row for utterance in failures]] = False
    return corpus.select(keep)
