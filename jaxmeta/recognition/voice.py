"""Recordings of one voice with their transcripts, checked for a recogniser."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxmeta.data.manifest import Manifest, ManifestError, read_manifest
from jaxmeta.data.recordings import first_copies, read_features
from jaxmeta.data.sampling.padding import round_up
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.sequence_losses import ctc_feasible
from jaxmeta.types import Batch

LEAST_SOUND = 0.1
"""Seconds that are not silent, which every recording must have."""


class VoiceRecordings(NamedTuple):
    """What a recogniser adapts to."""

    batch: Batch
    """N utterances: Ragged log-mels and Ragged labels."""
    texts: list[str]
    original: list[int]
    """For each utterance the first one that is the same recording: itself, unless it is a copy."""
    remarks: list[str]
    """What a person should know of single rows."""


def read_voice(
    recogniser: Recogniser,
    manifest: str | os.PathLike[str],
    *,
    resample: bool = False,
    roots: Iterable[str | os.PathLike[str]] = (),
) -> VoiceRecordings:
    """Read a folder of recordings with the columns file_name and transcription.

    Args:
      recogniser: whose features and vocabulary are used.
      resample: take other sample rates too.
      roots: further folders in which files may lie.
    Raises:
      ManifestError: no transcripts, an empty one or one with characters that the recogniser does not know, too long a
        text for its recording, or one recording alone, perhaps many times; names file and row. AudioError as
        `read_features`, and where a recording is silent.
    """
    read = read_manifest(manifest, roots)
    texts = [recogniser.fold(text) for text in transcripts(read)]
    try:
        labels = recogniser.vocabulary.encode_rows(texts, read.where)
    except ValueError as error:
        raise ManifestError(str(error)) from error
    features = read_features(
        recogniser.card.features, read.clips(), read.where, resample=resample, least_sound=LEAST_SOUND
    )
    speech = pad_rows(features, int(round_up(max(map(len, features)))))
    weight: Any = np.ones(len(texts), np.float32)
    fits = np.asarray(ctc_feasible(recogniser.card.output_lengths(speech.lengths), jax.tree.map(np.asarray, labels)))
    if not fits.all():
        first = int(np.flatnonzero(~fits)[0])
        seconds = speech.lengths[first] / recogniser.card.features.frame_rate
        raise ManifestError(
            f"{read.where(first)}: {texts[first]!r} is too long for {seconds:.2f} s of sound; is it the transcript of "
            "another recording?"
        )
    return VoiceRecordings(Batch(speech, labels, weight), texts, *copies(read, features))


def transcripts(read: Manifest) -> list[str]:
    """The transcripts of a manifest. Raises ManifestError where there are none, or only one."""
    path = read.root / read.name
    if "transcription" not in read.columns:
        raise ManifestError(f"{path}, row 1: no transcription column; the columns are {', '.join(read.columns)}.")
    texts = [str(text) for text in read.columns["transcription"]]
    if len(texts) < 2:
        raise ManifestError(
            f"{path}: one recording; adaptation needs two or more, to try on one what it learns from another."
        )
    return texts


def copies(read: Manifest, recordings: Sequence[np.ndarray]) -> tuple[list[int], list[str]]:
    """For each row of a manifest the first one with the same recording, and a remark on each copy.

    Raises:
      ManifestError: all rows are copies of one.
    """
    original = first_copies(recordings)
    later = [row for row, first in enumerate(original) if first != row]
    if len(original) - len(later) < 2:
        raise ManifestError(
            f"{read.root / read.name}: its {len(original)} rows are one recording; adaptation needs two different ones."
        )
    return original, [f"{read.where(row)}: the same recording as that of {read.where(original[row])}" for row in later]
