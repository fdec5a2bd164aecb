"""Recorded words as languages: rows of one to three words by one speaker, English, Arabic and Mandarin."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.languages.data import Languages, parted
from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.recognition.corpora import FEATURES

BILINGUAL, ARABIC = "zh_en_words", "ar_commands"
GROUPS = 3
"""Of the Arabic training words: each is a language of its own to meta-training, which else would have two."""
MOST = 3
"""Words in a row."""


def recorded_words(seed: int) -> Languages:
    """English words and two thirds of the Arabic ones to train on; Mandarin and other Arabic words never heard before.

    What is written are whole words: those of `zh_en_words` as transcribed, the Arabic ones by their English gloss.
    Speakers are parted by `split`; rates are chosen on Arabic words of `word_split` "val".
    Args:
      seed: of which words stand in a row.
    Raises:
      ValueError: JAXMETA_DATA does not hold the two corpora.
    """
    home = os.environ.get("JAXMETA_DATA")
    if missing := [name for name in (BILINGUAL, ARABIC) if not (home and Path(home, name).is_dir())]:
        raise ValueError(f"JAXMETA_DATA={home!r} holds no {missing[0]}; point it there, or use --preset quick.")
    features = replace(FEATURES, trim_db=30.0)
    bilingual, arabic = (load_corpus(Path(str(home), name), features) for name in (BILINGUAL, ARABIC))
    words = np.char.lower(bilingual.columns["transcription"])
    glosses = np.char.add("ar_", arabic.columns["label"])
    parts = [
        bilingual.with_column("transcription", words),
        arabic.with_column("transcription", glosses).with_column("language", arabic_groups(arabic)),
    ]
    training = tuple(f"ar-{number}" for number in range(GROUPS))
    corpus = in_rows(concatenate(parts), seed)
    return parted(corpus, "word", ("en", *training), "ar-val", ("ar-test", "zh"), ("en", *training[:2], "zh"), "words")


def arabic_groups(corpus: Corpus) -> np.ndarray:
    """The language of each recording: "ar-0", "ar-1" ... by training word, "ar-val" or "ar-test" by `word_split`."""
    split, label = corpus.columns["word_split"], corpus.columns["label"]
    number = {word: index % GROUPS for index, word in enumerate(np.unique(label[split == "train"]).tolist())}
    return np.array(
        [f"ar-{number[word] if part == 'train' else part}" for word, part in zip(label, split, strict=True)]
    )


def in_rows(corpus: Corpus, seed: int) -> Corpus:
    """The recordings of each speaker and language one after another in random rows of 1 to `MOST`, each in one row.

    Args:
      corpus: columns `transcription`, `language`, `speaker` and `split`, which a row keeps.
      seed: of the rows.
    """
    columns = corpus.columns
    keys = np.array(list(zip(columns["language"], columns["speaker"], columns["split"], strict=True)))
    rng = np.random.default_rng(seed)
    rows: list[np.ndarray] = []
    for key in np.unique(keys, axis=0):
        members = rng.permutation(np.flatnonzero((keys == key).all(axis=1)))
        ends = np.cumsum(rng.integers(1, MOST + 1, len(members)))
        rows += np.split(members, ends[ends < len(members)])
    order = np.concatenate(rows)
    joined = concatenate([_reordered(corpus, order)])
    sizes = np.array([len(row) for row in rows])
    first = np.cumsum(sizes) - sizes
    texts = [" ".join(columns["transcription"][row].tolist()) for row in rows]
    kept = {name: joined.columns[name][first] for name in ("language", "speaker", "split", "recording")}
    length = np.add.reduceat(joined.length, first).astype(np.int32)
    return replace(joined, start=joined.start[first], length=length, columns=kept | {"transcription": np.array(texts)})


def _reordered(corpus: Corpus, order: np.ndarray) -> Corpus:
    columns = {name: column[order] for name, column in corpus.columns.items()}
    return replace(corpus, start=corpus.start[order], length=corpus.length[order], columns=columns)
