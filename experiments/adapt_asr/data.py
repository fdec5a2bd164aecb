"""Transcribed speech for the recognition experiments: recorded sentences, or synthesised ones with accents."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.data.ctc_feasible import drop_infeasible
from jaxmeta.data.manifest import write_manifest
from jaxmeta.data.synthesis.sentences import accented_sentences, read_aloud
from jaxmeta.data.vocabulary import Vocabulary, build_vocabulary
from jaxmeta.models.acoustic import output_lengths
from jaxmeta.recognition.corpora import FEATURES

SENTENCES = "en_nonnative_sentences"


class SpeechData(NamedTuple):
    """What a recogniser is trained on and adapted to; no speaker is in two of the parts."""

    train: Corpus
    val: Corpus
    test: Corpus
    vocabulary: Vocabulary
    fingerprints: dict[str, str]
    folder: Path = Path()
    """Of the manifest."""
    wide: Corpus | None = None
    """What a recogniser is trained on before `train`: that and more, by other speakers."""


def recorded_sentences(folder: Path | None = None) -> SpeechData:
    """The manifest with the columns `transcription`, `speaker` and `split`; by default that under JAXMETA_DATA.

    Raises:
      ValueError: there is none.
    """
    home = os.environ.get("JAXMETA_DATA")
    if folder is None and not (home and Path(home, SENTENCES).is_dir()):
        raise ValueError(f"JAXMETA_DATA={home!r} holds no {SENTENCES}; point it there, or use --preset quick.")
    return _parts(folder or Path(str(home), SENTENCES), SENTENCES)


def widened(data: SpeechData, seed: int) -> SpeechData:
    """With the training transcripts, in capitals, and their words in random order, read by artificial voices."""
    aloud = load_corpus(read_aloud(data.train.columns["transcription"].tolist(), seed), FEATURES)
    aloud = aloud.with_column("transcription", np.char.upper(aloud.columns["transcription"]))
    aloud = drop_infeasible(aloud, data.vocabulary, output_lengths)
    fingerprints = data.fingerprints | {"read aloud": aloud.fingerprint}
    return data._replace(wide=concatenate([data.train, aloud]), fingerprints=fingerprints)


def synthesised_sentences(seed: int) -> SpeechData:
    """Short English sentences by artificial speakers, many of whom read them as if in another language.

    The accents, voices and sentences of testing are not in training.
    """
    return _parts(accented_sentences(seed), "synthesised")


def copy_voice(data: SpeechData, folder: Path, recordings: int = 20) -> Path:
    """Copy some recordings of the first test speaker, with their transcripts, as a manifest folder of its own."""
    speaker = data.test.columns["speaker"][0]
    rows = np.flatnonzero(data.test.columns["speaker"] == speaker)[:recordings]
    names = [f"{number:02d}{Path(data.test.columns['file_name'][row]).suffix}" for number, row in enumerate(rows, 1)]
    folder.mkdir(parents=True, exist_ok=True)
    for row, name in zip(rows, names, strict=True):
        shutil.copyfile(data.folder / data.test.columns["file_name"][row], folder / name)
    write_manifest(folder, {"file_name": names, "transcription": data.test.columns["transcription"][rows]})
    return folder


def _parts(folder: Path, name: str) -> SpeechData:
    corpus = load_corpus(folder, FEATURES)
    vocabulary = build_vocabulary(corpus.select(split="train").columns["transcription"])
    corpus = drop_infeasible(corpus, vocabulary, output_lengths)
    parts = (corpus.select(split=split) for split in ("train", "val", "test"))
    return SpeechData(*parts, vocabulary, {name: corpus.fingerprint}, folder)
