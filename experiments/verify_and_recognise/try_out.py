"""Recordings to try an assistant on: a voice to enrol, more of it and of others, and several words in one file."""

import shutil
from pathlib import Path

import numpy as np

from experiments.verify_and_recognise.data import Spoken
from jaxmeta.data.audio import read_audio, write_audio
from jaxmeta.data.manifest import write_manifest

WORDS, RATE = 5, 16_000
_PAUSE = RATE // 2


def copy_recordings(data: Spoken, workdir: Path) -> None:
    """Write folders of recordings of test speakers, of the first corpus that they say words in.

    `voice` is a manifest of five words by one speaker, to be enrolled, all recordings of each but the last; `clips`
    holds those, the same words by other speakers, each by the next one, and "several.flac", in which the first speaker
    says each word, half a second apart, and then another one the first of them.
    """
    name = next(iter(data.new_words))
    corpus, folder = data.new_words[name], data.folders[name]
    speakers, labels = corpus.columns["speaker"], corpus.columns["label"]
    user, *others = np.unique(speakers)
    shared = sorted(set.intersection(*(set(labels[speakers == who]) for who in (user, *others))))[:WORDS]
    voice, clips = workdir / "voice", workdir / "clips"
    for each in (voice, clips):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    enrolled: dict[str, list[str]] = {"file_name": [], "label": []}
    said: list[np.ndarray] = []
    for place, word in enumerate(shared):
        other = others[place % len(others)]
        own, theirs = (np.flatnonzero((speakers == who) & (labels == word)) for who in (user, other))
        for number, row in enumerate(own[:-1], 1):
            source = folder / str(corpus.columns["file_name"][row])
            enrolled["file_name"].append(f"{word}_{number}{source.suffix}")
            enrolled["label"].append(word)
            shutil.copyfile(source, voice / enrolled["file_name"][-1])
        for who, row in (("own", own[-1]), ("other", theirs[0])):
            source = folder / str(corpus.columns["file_name"][row])
            shutil.copyfile(source, clips / f"{who}_{word}{source.suffix}")
            if who == "own" or word == shared[0]:
                said.append(read_audio(source, RATE))
    write_manifest(voice, enrolled)
    said.append(said.pop(1))  # The other speaker comes last.
    noise = np.random.default_rng(0).normal(scale=1e-4, size=_PAUSE)
    parts = [part for one in said for part in (noise, one)]
    write_audio(clips / "several.flac", np.concatenate([*parts, noise]), RATE)
