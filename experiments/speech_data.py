"""Transcribed speech for the recognition experiments: recorded sentences, or synthesised ones with accents."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.contents import cache_home
from jaxmeta.data.corpus import Corpus, load_corpus
from jaxmeta.data.feasible import drop_infeasible
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.lexicon import Word
from jaxmeta.data.manifest import write_manifest
from jaxmeta.data.progress import progress_bar
from jaxmeta.data.synthesis import default_voices, plan, synthesise
from jaxmeta.data.vocabulary import Vocabulary, build_vocabulary
from jaxmeta.models.acoustic import output_lengths

SENTENCES = "en_nonnative_sentences"
FEATURES = FeatureConfig(kind="logmel", n_mels=40, hop_length=160, normalize="none")
"""100 frames a second; networks standardise each utterance themselves, after augmentation."""
TRAINING_ACCENTS = (None, None, "de", "fr", "it", "es", "tr", "sv")
TEST_ACCENTS = ("ru", "id", "pl", "pt")


class SpeechData(NamedTuple):
    """What a recogniser is trained on and adapted to; no speaker is in two of the parts."""

    train: Corpus
    val: Corpus
    test: Corpus
    vocabulary: Vocabulary
    fingerprints: dict[str, str]
    folder: Path = Path()
    """Of the manifest."""


def recorded_sentences(folder: Path | None = None) -> SpeechData:
    """The manifest with the columns `transcription`, `speaker` and `split`; by default that under JAXMETA_DATA.

    Raises:
      ValueError: there is none.
    """
    home = os.environ.get("JAXMETA_DATA")
    if folder is None and not (home and Path(home, SENTENCES).is_dir()):
        raise ValueError(f"JAXMETA_DATA={home!r} holds no {SENTENCES}; point it there, or use --preset quick.")
    return _parts(folder or Path(str(home), SENTENCES), SENTENCES)


def synthesised_sentences(seed: int) -> SpeechData:
    """Short English sentences by artificial speakers, many of whom read them as if in another language.

    The accents, voices and sentences of testing are not in training.
    """
    return _parts(_synthesise(seed), "synthesised")


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


def sentences(count: int, seed: int) -> list[Word]:
    """Different sentences of the form "open the red window now" or rows of digits, each in one split."""
    rng = np.random.default_rng(seed)
    numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    colours = ["red", "blue", "green", "black", "white", "yellow", "brown", "grey"]
    things = ["window", "door", "house", "kitchen", "garden", "book", "table", "car", "lamp", "chair"]
    verbs = ("open", "close", "show me", "bring", "paint", "clean", "look at", "take")
    ends = ("now", "today", "again", "in the morning", "this evening", "please", "")
    found: dict[str, None] = {}
    while len(found) < count:
        if rng.random() < 0.3:
            text = " ".join(rng.choice(numbers, rng.integers(3, 6)))
        else:
            some = rng.choice(["the", "my", *numbers[1:6]])
            thing = f"{rng.choice(things)}{'s' * (some in numbers)}"
            text = f"{rng.choice(verbs)} {some} {rng.choice(colours)} {thing} {rng.choice(ends)}".strip()
        found[text] = None
    splits = ["test" if n < count // 8 else "val" if n < count // 6 else "train" for n in range(count)]
    return [Word(text, "en-us", text, split) for text, split in zip(found, splits, strict=True)]


def _synthesise(seed: int) -> Path:
    voices = []
    for number, voice in enumerate(default_voices(train=48, val=8, test=16, seed=seed)):
        accents = TRAINING_ACCENTS if voice.split == "train" else TEST_ACCENTS
        voices.append(voice._replace(language=accents[number % len(accents)]))
    words = sentences(1200, seed)
    utterances = []
    for split, each in (("train", 3), ("val", 4), ("test", 3)):
        utterances += plan([w for w in words if w.split == split], voices, voices_per_word=each, seed=seed)
    digest = hashlib.sha256(json.dumps(utterances).encode()).hexdigest()[:12]
    folder = cache_home() / "synthesised" / f"sentences_{digest}"
    with progress_bar("synthesising speech", len(utterances)) as advance:
        shown = [0]

        def progress(done: int, total: int) -> None:
            advance(done - shown[0])
            shown[0] = done

        return synthesise(folder, utterances, progress=progress)
