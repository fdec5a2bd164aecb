"""Recordings of this experiment: words and sentences whose speakers are known, and noise."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.audio import read_audio
from jaxmeta.data.augmentation.artificial_sounds import swelling
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.data.augmentation.waveform import Noises, find_noises, noisy
from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.data.extraction import WaveformTransform
from jaxmeta.data.features import extract
from jaxmeta.data.word_corpora import CORPORA, FEATURES, load_words
from jaxmeta.files.folders import data_folders
from jaxmeta.verification.training import speaker_stretches

SENTENCES, COMMANDS = "en_nonnative_sentences", "en_speech_commands_sample"
SOUNDS, LONG = "noise_esc10", "noise_long"
SNR = 5.0
"""Decibels of signal over noise, in tests in noise."""
_TRAIN_FOLDS, _TEST_FOLDS = ("1", "2", "3"), ("4", "5")  # Of noise_esc10: no source of a sound is in two of them.
_NOISE = replace(FEATURES, trim_db=None)


class Speech(NamedTuple):
    """What the networks are trained on, and whom they are tested by."""

    words: Corpus
    """For training: with the columns `pool`, `corpus` and `label`."""
    speakers: Corpus
    """For training: stretches of a second, with the columns `pool` and `speaker`."""
    val: dict[str, Corpus]
    """Recordings by validation speakers, of a word or a sentence each."""
    val_words: dict[str, Corpus]
    """Those of `val` that say words which are not in tests."""
    test: dict[str, Corpus]
    """The same by test speakers."""
    new_words: dict[str, Corpus]
    """Those of `test` that say words which are not in training."""
    noise: np.ndarray
    """Log-mels of noise for training [M, L, F]."""
    conditions: dict[str, WaveformTransform | None]
    """What test recordings are mixed with; none of it is in training."""
    background: list[np.ndarray]
    """Log-mels [T, F] of long stretches without any of the words, none of it in training."""
    folders: dict[str, Path]
    """Of the manifests."""
    fingerprints: dict[str, str]


def recorded(invented: int, seed: int) -> Speech:
    """Words of `zh_en_words` and `ar_commands`, sentences of `en_nonnative_sentences`, under JAXMETA_DATA.

    Training words alone are heard in training; tests of speakers have all words of test speakers. Noise of training
    is three folds of `noise_esc10`; the test has the other two, and `noise_long`.
    Raises:
      ValueError: one of the corpora is missing.
    """
    *recordings, sounds, background = data_folders(*CORPORA, SENTENCES, COMMANDS, SOUNDS, LONG)
    folders = {folder.name: folder for folder in recordings}
    words = load_words([folders[name] for name in CORPORA], invented=invented, seed=seed)
    whole = {name: load_corpus(folder, FEATURES).with_column("corpus", name) for name, folder in folders.items()}
    parts = [words.train.select(corpus=name).with_column("pool", name) for name in (*CORPORA, "synthesised")]
    parts += [whole[SENTENCES].select(split="train").with_column("pool", SENTENCES)]
    parts += [whole[COMMANDS].with_column("pool", COMMANDS)]
    val, test = ({name: whole[name].select(split=split) for name in (*CORPORA, SENTENCES)} for split in ("val", "test"))
    long = find_noises(background, by="source")
    conditions = {
        "clean": None,
        f"sounds {SNR:g} dB": noisy(find_noises(sounds, _TEST_FOLDS, by="fold"), SNR, seed=seed),
        f"background {SNR:g} dB": noisy(long, SNR, seed=seed),
    }
    size = 2 * FEATURES.sample_rate
    training = [np.resize(each, 2 * size) for each in _waveforms(find_noises(sounds, _TRAIN_FOLDS, by="fold"))]
    noise = [extract(part, _NOISE) for each in training for part in (each[:size], each[size:]) if part.any()]
    return Speech(
        words.train, speaker_stretches(concatenate(parts)),
        val, words.val, test, words.test, np.stack(noise), conditions,
        [extract(each, _NOISE) for each in _waveforms(long) if each.any()], folders,
        words.fingerprints | {name: whole[name].fingerprint for name in folders},
    )  # fmt: skip


def synthesised(invented: int, seed: int) -> Speech:
    """Words in ten languages by artificial voices, for both tasks; steady noise, and in tests such as swells."""
    words = load_words([], invented=invented, seed=seed)
    steady = [extract(row, _NOISE) for row in coloured_noise(48, 2.0, seed=seed)]
    swells = swelling(coloured_noise(30, 10.0, seed=seed + 2), seed=seed)
    conditions = {"clean": None, f"swelling noise {SNR:g} dB": noisy(swells[:8], SNR, seed=seed)}
    return Speech(
        words.train, speaker_stretches(words.train.with_column("pool", "synthesised")),
        words.val, words.val, words.test, words.test, np.stack(steady), conditions,
        [extract(0.1 * each, _NOISE) for each in swells[8:]], words.folders, words.fingerprints,
    )  # fmt: skip


def _waveforms(noises: Noises) -> list[np.ndarray]:
    return [read_audio(Path(noises.folder, name), FEATURES.sample_rate) for name in noises.files]
