"""Recordings of one voice with their transcripts, encoded by a public Whisper once and for all."""

import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from jaxmeta.data.manifest import Manifest, ManifestError, read_manifest
from jaxmeta.data.recordings import read_waveforms
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.pretrained.transcription import comparable, encode, window
from jaxmeta.recognition.pretrained.whisper import Case, WhisperRecogniser, spelled
from jaxmeta.recognition.segments.stretches import RATE
from jaxmeta.recognition.voice import LEAST_SOUND, copies, transcripts


class WhisperVoice(NamedTuple):
    """What a Whisper adapts to."""

    memory: list[np.ndarray]
    """What the frozen encoder gives for each recording, [T, D] float16."""
    labels: list[np.ndarray]
    """Tokens of each transcript."""
    texts: list[str]
    original: list[int]
    """For each recording the first one that is the same: itself, unless it is a copy."""
    remarks: list[str]
    """What a person should know of single rows."""


def read_whisper_voice(
    recogniser: WhisperRecogniser,
    manifest: str | os.PathLike[str],
    *,
    resample: bool = False,
    roots: Iterable[str | os.PathLike[str]] = (),
) -> WhisperVoice:
    """Read a folder of recordings with the columns file_name and transcription, and encode each once.

    Transcripts in capitals are written as a sentence is, with one capital: Whisper hardly knows them otherwise. Those
    of a Whisper that was trained to write in one case are written in small letters, as in its training.
    Args:
      recogniser: whose encoder and tokens are used.
      manifest: folder with metadata.csv.
      resample: take other sample rates too.
      roots: further folders in which files may lie.
    Raises:
      ManifestError: no transcripts, one without letters, a recording or a transcript that is too long, or one recording
        alone, perhaps many times; names file and row. AudioError: a recording is silent or cannot be read.
    """
    read = read_manifest(manifest, roots)
    texts = _texts(read, recogniser.habits.case)
    labels = [recogniser.tokenizer.encode(f" {text}") for text in texts]
    waveforms = read_waveforms(RATE, read.clips(), read.where, resample=resample, least_sound=LEAST_SOUND)
    for row, (label, waveform) in enumerate(zip(labels, waveforms, strict=True)):
        if len(label) > recogniser.longest:
            raise ManifestError(
                f"{read.where(row)}: the transcript has {len(label)} tokens, and this Whisper writes at most "
                f"{recogniser.longest} at once; cut the recording in two."
            )
        if len(waveform) > window(recogniser) * RATE:
            raise ManifestError(
                f"{read.where(row)}: lasts {len(waveform) / RATE:.1f} s, and this Whisper takes {window(recogniser):g} "
                "s at once; cut the recording in two."
            )
    original, remarks = copies(read, waveforms)
    memory = []
    with progress_bar("encoding", len(waveforms), unit="recordings") as advance:
        for waveform in waveforms:
            memory.append(encode(recogniser, waveform).astype(np.float16))
            advance(1)
    return WhisperVoice(memory, labels, texts, original, remarks)


def _texts(read: Manifest, case: Case) -> list[str]:
    texts = transcripts(read)
    for row, text in enumerate(texts):
        if not comparable(text):
            raise ManifestError(f"{read.where(row)}: the transcript has no letters; say what is said, or leave it out.")
    if case != "as it is":
        return [spelled(text, case) for text in texts]
    return [text.capitalize() if text.isupper() else text for text in texts]
