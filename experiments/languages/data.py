"""Speech of several languages, and which of them are trained on, chosen on, adapted to, and learnt in turn."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.data.ctc_feasible import drop_infeasible
from jaxmeta.data.synthesis.joined_words import join_words
from jaxmeta.data.synthesis.numerals import numeral
from jaxmeta.data.synthesis.phrases import cached_phrases
from jaxmeta.data.vocabulary import Level, Vocabulary, build_vocabulary
from jaxmeta.files.folders import data_folders
from jaxmeta.models.acoustic import output_lengths
from jaxmeta.recognition.corpora import FEATURES
from jaxmeta.recognition.pretrained.encoder import read_encoder
from jaxmeta.recognition.pretrained.training import activations, frames_out

ENGLISH = "en-us"
PRETRAINING = (ENGLISH, "es", "de", "fr", "ru", "ar")
FOREIGN = PRETRAINING[1:]
"""Whose translation is trained on: that of English would be a copy."""
VALIDATION = "id"
UNSEEN = ("it", "tr", "cmn")
SEQUENCE = ("es", "it", "cmn")
GROUPS = 3
"""Of the Arabic training words: each is a language of its own to meta-training, which else would have two."""


class Languages(NamedTuple):
    """What is trained on, chosen on and tested by; speakers and meanings of the splits differ."""

    corpus: Corpus
    """Columns `transcription`, which is what is written, `language`, `speaker` and `split`."""
    vocabulary: Vocabulary
    """One for all languages."""
    pretraining: tuple[str, ...]
    validation: str
    """Not of pretraining; rates and steps are chosen on it."""
    unseen: tuple[str, ...]
    sequence: tuple[str, ...]
    """Learnt one after another."""
    fingerprints: dict[str, str]


def spoken_phrases(voices: int, seed: int, translated: bool) -> Languages:
    """Synthesised numbers and phrases in ten languages; what is written is what is said, or its English meaning.

    Args:
      voices: speakers of each phrase, 1 to 6.
      seed: of the voices.
      translated: write English words. English itself is left out then, as it would be a copy.
    """
    corpus = load_corpus(cached_phrases(voices, seed), FEATURES)
    texts = corpus.columns["translation" if translated else "transcription"].tolist()
    corpus = corpus.with_column("transcription", [written(text, translated) for text in texts])
    pretraining = PRETRAINING
    if translated:
        pretraining = FOREIGN
        corpus = corpus.select(corpus.columns["language"] != ENGLISH)
    level: Level = "word" if translated else "character"
    fingerprints = {"phrases": corpus.fingerprint}
    return Languages(*_alignable(corpus, level), pretraining, VALIDATION, UNSEEN, SEQUENCE, fingerprints)


def spoken_numbers(base: Path, voices: int, seed: int) -> Languages:
    """Synthesised numbers below 100 in nine languages as activations of a frozen encoder; their English is written.

    Args:
      base: folder of the public encoder.
      voices: speakers of each number, 1 to 6.
      seed: of the voices.
    """
    encoder = read_encoder(base)
    corpus = load_corpus(cached_phrases(voices, seed), encoder.features)
    meaning, numbers = corpus.columns["translation"], [numeral(number, ENGLISH) for number in range(100)]
    corpus = corpus.select(np.isin(meaning, numbers) & (corpus.columns["language"] != ENGLISH))
    texts = [written(text, True) for text in corpus.columns["translation"].tolist()]
    corpus, vocabulary = _alignable(corpus.with_column("transcription", texts), "word", frames_out(encoder))
    fingerprints = {"phrases": corpus.fingerprint, "base": encoder.sha256}
    corpus = activations(encoder, corpus, 0)
    return Languages(corpus, vocabulary, FOREIGN, VALIDATION, UNSEEN, SEQUENCE, fingerprints)


def recorded_words(seed: int) -> Languages:
    """English words and two thirds of the Arabic ones to train on; Mandarin and other Arabic words never heard before.

    What is written are whole words: those of `zh_en_words` as transcribed, those of `ar_commands` by their English
    gloss. Speakers are parted by `split`; rates are chosen on Arabic words of `word_split` "val".
    Args:
      seed: of which words stand in a row.
    Raises:
      ValueError: JAXMETA_DATA lacks the two corpora.
    """
    features = replace(FEATURES, trim_db=30.0)
    bilingual, arabic = (load_corpus(folder, features) for folder in data_folders("zh_en_words", "ar_commands"))
    glosses = np.char.add("ar_", arabic.columns["label"])
    parts = [
        bilingual.with_column("transcription", np.char.lower(bilingual.columns["transcription"])),
        arabic.with_column("transcription", glosses).with_column("language", arabic_groups(arabic)),
    ]
    corpus = join_words(concatenate(parts), seed)
    training = tuple(f"ar-{number}" for number in range(GROUPS))
    return Languages(
        *_alignable(corpus, "word"), ("en", *training), "ar-val", ("ar-test", "zh"), ("en", *training[:2], "zh"),
        {"words": corpus.fingerprint},
    )  # fmt: skip


def written(text: str, translated: bool) -> str:
    """A text without case; translations without hyphens, so that "twenty-one" is two words that are known."""
    return text.lower().replace("-", " ") if translated else text.lower()


def arabic_groups(corpus: Corpus) -> np.ndarray:
    """The language of each recording: "ar-0", "ar-1" ... by training word, "ar-val" or "ar-test" by `word_split`."""
    split, label = corpus.columns["word_split"], corpus.columns["label"]
    number = {word: index % GROUPS for index, word in enumerate(np.unique(label[split == "train"]).tolist())}
    return np.array(
        [f"ar-{number[word] if part == 'train' else part}" for word, part in zip(label, split, strict=True)]
    )


def _alignable(
    corpus: Corpus, level: Level, frames_out: Callable[[Any], Any] = output_lengths
) -> tuple[Corpus, Vocabulary]:
    """What CTC can align of a corpus, and the vocabulary of all of it."""
    vocabulary = build_vocabulary(corpus.columns["transcription"], level=level)
    return drop_infeasible(corpus, vocabulary, frames_out), vocabulary
