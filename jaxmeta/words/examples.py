"""Recordings to try an assistant on: a voice to enrol, more of it and of others, and several words in one file."""

import shutil
from pathlib import Path

import numpy as np

from jaxmeta.data.audio import read_audio, write_audio
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.manifest import write_manifest
from jaxmeta.data.manifests.clips import clips_of
from jaxmeta.data.manifests.copies import copy_clip

WORDS, RATE = 5, 16_000
_PAUSE = RATE // 2


def write_examples(corpus: Corpus, recordings: Path, folder: Path) -> None:
    """Write folders of recordings of the speakers of a corpus of words.

    `voice` is a manifest of five words by one speaker, to be enrolled, all recordings of each but the last; `clips`
    holds those, the same words by other speakers, each by the next one, and "several.flac", in which the first speaker
    says each word, half a second apart, and then another one the first of them.
    Args:
      corpus: with the columns `file_name`, `speaker` and `label`; two speakers or more, with words in common.
      recordings: folder of its files.
      folder: for `voice` and `clips`, which are replaced.
    Raises:
      ValueError: too few speakers, or no word is common to all of them with two recordings by the first.
    """
    speakers, labels = corpus.columns["speaker"], corpus.columns["label"]
    user, *others = np.unique(speakers)
    shared = [
        word for word in sorted(set.intersection(*(set(labels[speakers == who]) for who in (user, *others))))
        if np.sum((speakers == user) & (labels == word)) > 1
    ][:WORDS]  # fmt: skip
    if not others or not shared:
        raise ValueError(f"examples need words in common, each said twice by {str(user)!r}; the speakers have none.")
    voice, clips = folder / "voice", folder / "clips"
    for each in (voice, clips):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    enrolled: dict[str, list[str]] = {"file_name": [], "label": []}
    said: list[np.ndarray] = []

    sources = clips_of(recordings, corpus.columns)

    for place, word in enumerate(shared):
        other = others[place % len(others)]
        own, theirs = (np.flatnonzero((speakers == who) & (labels == word)) for who in (user, other))
        for number, row in enumerate(own[:-1], 1):
            enrolled["file_name"].append(copy_clip(sources[row], voice / f"{word}_{number}").name)
            enrolled["label"].append(word)
        for who, row in (("own", own[-1]), ("other", theirs[0])):
            copy_clip(sources[row], clips / f"{who}_{word}")
            if who == "own" or word == shared[0]:
                said.append(read_audio(sources[row], RATE))
    write_manifest(voice, enrolled)
    said.append(said.pop(1))  # The other speaker comes last.
    noise = np.random.default_rng(0).normal(scale=1e-4, size=_PAUSE)
    write_audio(
        clips / "several.flac", np.concatenate([part for each in said for part in (noise, each)] + [noise]), RATE
    )
