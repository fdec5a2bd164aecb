"""Speech of several languages, parted into those of pretraining, one to choose on, and those never heard before."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.corpus import Corpus, load_corpus
from jaxmeta.data.ctc_feasible import drop_infeasible
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes, AdaptationGroup
from jaxmeta.data.sampling.transcribed import encode_column
from jaxmeta.data.synthesis.phrases import phrase_corpus
from jaxmeta.data.vocabulary import Level, Vocabulary, build_vocabulary
from jaxmeta.folders import cache_home
from jaxmeta.models.acoustic import output_lengths
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.corpora import FEATURES

ENGLISH = "en-us"
PRETRAINING = (ENGLISH, "es", "de", "fr", "ru", "ar")
VALIDATION = "id"
UNSEEN = ("it", "tr", "cmn")
SEQUENCE = ("es", "it", "cmn")


class Languages(NamedTuple):
    """What is learnt from, chosen on and tested by; voices and meanings of the splits differ."""

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


def spoken_phrases(voices: int, seed: int, *, translated: bool = False) -> Languages:
    """Synthesised numbers and phrases in ten languages; what is written is what is said, or its English meaning.

    Args:
      voices: speakers of each phrase, 1 to 6.
      seed: of the voices.
      translated: write English words. English itself is left out then, as it would be a copy.
    """
    corpus = load_corpus(_synthesise(voices, seed), FEATURES)
    texts = corpus.columns["translation" if translated else "transcription"].tolist()
    corpus = corpus.with_column("transcription", [written(text, translated) for text in texts])
    pretraining = PRETRAINING
    if translated:
        pretraining = tuple(language for language in PRETRAINING if language != ENGLISH)
        corpus = corpus.select(corpus.columns["language"] != ENGLISH)
    level: Level = "word" if translated else "character"
    return parted(corpus, level, pretraining, VALIDATION, UNSEEN, SEQUENCE, "phrases")


def parted(
    corpus: Corpus,
    level: Level,
    pretraining: tuple[str, ...],
    validation: str,
    unseen: tuple[str, ...],
    sequence: tuple[str, ...],
    name: str,
) -> Languages:
    """The languages of a corpus with one vocabulary, less what CTC cannot align."""
    vocabulary = build_vocabulary(corpus.columns["transcription"], level=level)
    kept = drop_infeasible(corpus, vocabulary, output_lengths)
    return Languages(kept, vocabulary, pretraining, validation, unseen, sequence, {name: corpus.fingerprint})


def written(text: str, translated: bool) -> str:
    """A text without case; translations without hyphens, so that "twenty-one" is two words that are known."""
    return text.lower().replace("-", " ") if translated else text.lower()


def rows_of(languages: Languages, split: str, language: str, longest: int) -> np.ndarray:
    """The rows of the corpus of a split and a language, of no more frames than `longest`.

    Raises:
      ValueError: there are none.
    """
    columns = languages.corpus.columns
    rows = np.flatnonzero(
        (columns["split"] == split) & (columns["language"] == language) & (languages.corpus.length <= longest)
    )
    if not len(rows):
        raise ValueError(f"language={language!r} has no utterance of split {split!r} of {longest} frames or fewer.")
    return rows


def adaptation_to(
    languages: Languages,
    chosen: tuple[str, ...],
    split: str,
    *,
    shots: tuple[int, ...],
    draws: int,
    queries: int,
    longest: int,
    seed: int,
) -> AdaptationEpisodes:
    """Support sets by training voices in a language, and queries of other meanings by other voices in it.

    Args:
      languages: of which `chosen` are adapted to.
      split: of the queries, "val" or "test".
      shots: sizes of support sets, each within the next larger one.
      draws: support sets of each size for a language, each with the same queries; groups are named "language/draw".
      queries: of a language, or as many as it has.
      longest: frames to which everything is padded; longer utterances are left out.
      seed: of what is drawn.
    """
    groups = []
    for language in chosen:
        known, others = (rows_of(languages, part, language, longest) for part in ("train", split))
        query = np.random.default_rng(seed).permutation(others)[:queries]
        for draw in range(draws):
            support = np.random.default_rng([seed, draw]).permutation(known)[: max(shots)]
            groups.append(AdaptationGroup(f"{language}/{draw}", support, query))
    labels = encode_column(languages.corpus, languages.vocabulary)
    return AdaptationEpisodes(languages.corpus, labels, shots, tuple(groups), longest, ())


def _synthesise(voices: int, seed: int) -> Path:
    folder = cache_home() / "synthesised" / f"phrases_{voices}_{seed}"
    with progress_bar("synthesising speech", 3120 * voices) as advance:
        shown = [0]

        def progress(done: int, total: int) -> None:
            advance(done - shown[0])
            shown[0] = done

        return phrase_corpus(folder, voices_per_phrase=voices, seed=seed, progress=progress)
