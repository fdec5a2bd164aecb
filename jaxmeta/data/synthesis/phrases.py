"""Spoken numbers and phrases of ten languages with their English translations, by artificial speakers.

For recognition and translation of speech with no data at all. Meanings are parted, not recordings: what is said in a
validation or test recording is said in no training recording, in any language, though each of its words is, or for
a number written as one word ("einundzwanzig") each of its parts.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxmeta.data.manifest import read_manifest, write_manifest
from jaxmeta.data.synthesis.lexicon import Word
from jaxmeta.data.synthesis.numerals import numeral
from jaxmeta.data.synthesis.phrasebook import LANGUAGES, phrases_of
from jaxmeta.data.synthesis.speech import default_voices, plan, synthesise
from jaxmeta.files.folders import cache_folder
from jaxmeta.progress import progress_callback

_SPLITS = ("val", "test", "test", "train", "train", "train", "train", "train")
"""By the slanted lines of a table of phrases, so that each form in it, of a row or of a column, is met in training."""


def phrases(languages: Sequence[str] | None = None) -> tuple[Word, ...]:
    """The numbers 0 to 99 and 212 phrases (see `phrasebook`) in each language; the label is the English meaning.

    A meaning has the same split in every language: about two thirds train, the others val and test. Numbers below 21
    and full tens are for training.
    Args:
      languages: espeak-ng codes among `phrasebook.LANGUAGES`; None takes all ten.
    Raises:
      ValueError: no phrases are built in for a language, or it is given twice.
    """
    languages = tuple(LANGUAGES) if languages is None else tuple(languages)
    if unknown := [language for language in languages if language not in LANGUAGES]:
        raise ValueError(f"languages has {unknown[0]!r}; phrases are built in for {', '.join(LANGUAGES)}.")
    if not languages or len(set(languages)) < len(languages):
        raise ValueError(f"languages must be one or more, none of them twice; got {languages}.")
    english = _phrases("en-us")
    return tuple(
        Word(text, language, meaning, split)
        for language in languages
        for (text, _), (meaning, split) in zip(_phrases(language), english, strict=True)
    )


def phrase_corpus(
    folder: str | os.PathLike[str],
    languages: Sequence[str] | None = None,
    *,
    voices_per_phrase: int = 1,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the phrases as a folder with metadata.csv, or reuse it, and return the folder.

    3,120 recordings for all languages. The columns are file_name, transcription (in the script of the language),
    translation (English), language, speaker and split, which parts meanings and voices alike.
    Args:
      folder: to be made.
      languages: as in `phrases`.
      voices_per_phrase: speakers that say each phrase, 1 to 6, chosen at random among 24, 6 and 10 for the splits.
      seed: 0 or more.
      workers, progress: as in `synthesise`.
    Raises:
      ValueError, ImportError: as in `phrases` and `synthesise`.
    """
    utterances = plan(phrases(languages), default_voices(seed=seed), voices_per_word=voices_per_phrase, seed=seed)
    folder = synthesise(folder, utterances, workers=workers, progress=progress)
    columns = read_manifest(folder).columns
    if "translation" not in columns:
        columns["translation"] = columns["label"]
        names = ("file_name", "transcription", "translation", "language", "speaker", "split")
        write_manifest(folder, {name: columns[name] for name in names})
    return folder


def cached_phrases(voices_per_phrase: int, seed: int) -> Path:
    """The folder of `phrase_corpus` with all ten languages in the cache folder; made where it is not there."""
    folder = cache_folder("synthesised") / f"phrases_{voices_per_phrase}_{seed}"
    with progress_callback("synthesising speech", len(phrases()) * voices_per_phrase) as progress:
        return phrase_corpus(folder, voices_per_phrase=voices_per_phrase, seed=seed, progress=progress)


def _phrases(language: str) -> list[tuple[str, str]]:
    """(text, split) of every phrase, in the same order for every language."""
    pairs = [(numeral(number, language), _split_of_number(number)) for number in range(100)]
    for table in phrases_of(language).values():
        pairs += [(text, _SPLITS[(3 * i + j) % 8]) for i, row in enumerate(table) for j, text in enumerate(row)]
    return pairs


def _split_of_number(number: int) -> str:
    tens, ones = divmod(number, 10)
    # Their words make up all others, and so are known.
    return "train" if number < 20 or ones == 0 else _SPLITS[(tens + ones) % 8]
