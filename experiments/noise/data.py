"""Recorded noise for training and for testing, and a recogniser on a frozen encoder that is trained in it.

Types and sources of noise are parted between training and testing.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.audio import read_audio
from jaxmeta.data.augmentation.banks import room_bank
from jaxmeta.data.augmentation.conditions import Condition, noise_conditions
from jaxmeta.data.augmentation.waveform import Noises, find_noises, in_both, in_condition, noisy, split_noises
from jaxmeta.data.corpus import Corpus, concatenate
from jaxmeta.data.manifest import read_manifest
from jaxmeta.files.folders import data_folders
from jaxmeta.models.acoustic import Size
from jaxmeta.recognition.corpora import FEATURES, TranscribedSpeech, read_corpora
from jaxmeta.recognition.methods import AdaptationMethod
from jaxmeta.recognition.presets import MetaTraining
from jaxmeta.recognition.pretrained.activations import cached_activations
from jaxmeta.recognition.pretrained.encoder import read_encoder
from jaxmeta.recognition.pretrained.meta_training import adapter_methods, meta_train, speaker_tasks
from jaxmeta.recognition.pretrained.training import frames_out
from jaxmeta.recognition.shifts.frozen_head import train_upper_part
from jaxmeta.types import PyTree

TRAINING_FOLDS, TEST_FOLDS = ("1", "2", "3"), ("4", "5")
"""Of noise_esc10: no source of a sound is in two of them."""
SIZE, BATCH = Size(192, 2), 32
"""Of the head, whose lowest layer is frozen after training; and utterances of an update of it."""


class InNoise(NamedTuple):
    """A recogniser that is trained in noise, ways to adapt it, and what it is tested on."""

    folder: Path
    """Of the speech."""
    speech: TranscribedSpeech
    conditions: tuple[Condition, ...]
    """Of the test."""
    weights: PyTree
    methods: dict[str, AdaptationMethod]
    start: Callable[[str], PyTree]
    """Name of a method -> what it starts from, meta-trained in noise if it is one of those."""
    encode: Callable[[Corpus], Corpus] | None
    """Features of recordings -> what the network takes; None: the features."""
    noise: str
    """Says which noise it was trained in."""


def recorded(snrs: Sequence[float], seed: int) -> tuple[Path, Noises, tuple[Condition, ...]]:
    """The folder of the sentences, and `recorded_noise`; raises ValueError where JAXMETA_DATA lacks something."""
    folder, sounds, background, rooms = data_folders("en_nonnative_sentences", "noise_esc10", "noise_long", "rir_iosr")
    noises, conditions = recorded_noise(sounds, background, rooms, snrs, seed)
    return folder, noises, conditions


def recorded_noise(
    sounds: Path, background: Path, rooms: Path, snrs: Sequence[float], seed: int
) -> tuple[Noises, tuple[Condition, ...]]:
    """Noises for training, and conditions for the test.

    Half of the types of sounds are seen; the other half is not, nor are background noise and rooms.
    Sounds of a seen type in the test are other recordings than those in training, from other sources.
    Args:
      sounds, background, rooms: folders as `noise_esc10`, `noise_long` and `rir_iosr` are.
      snrs: levels in decibels.
      seed: of the halves and of the noise that an utterance gets.
    """
    seen, unseen = split_noises(sounds, seed=seed)
    training, testing = (find_noises(sounds, folds, by="fold") for folds in (TRAINING_FOLDS, TEST_FOLDS))
    noises = {
        "seen": in_both(seen, testing), "unseen": in_both(unseen, testing),
        "background": find_noises(background, by="source"),
    }  # fmt: skip
    echoing = read_manifest(rooms).columns["room"] != "anechoic"
    responses = room_bank(rooms, sample_rate=FEATURES.sample_rate)[echoing]
    return in_both(seen, training), noise_conditions(noises, responses, snrs, seed)


def five_seconds(noises: Noises) -> list[np.ndarray]:
    """The waveform of each noise, but for silent ones."""
    rate = FEATURES.sample_rate
    waveforms = [np.resize(read_audio(Path(noises.folder, name), rate), 5 * rate) for name in noises.files]
    return [waveform for waveform in waveforms if waveform.any()]


def speakers_in_noise(corpus: Corpus, folder: Path, noises: Noises, snrs: Sequence[float], seed: int) -> Corpus:
    """The corpus with each speaker in one condition, with as many in silence as at each level of the noise.

    Args:
      corpus: recordings of the folder, with the column `speaker`.
      noises: an utterance gets one of them.
      snrs: levels in decibels.
      seed: of the noise that an utterance gets.
    """
    speakers, transforms = (
        np.unique(corpus.columns["speaker"]),
        [None, *(noisy(noises, snr, seed=seed) for snr in snrs)],
    )
    parts = []
    for number, transform in enumerate(transforms):
        own = np.isin(corpus.columns["speaker"], speakers[number :: len(transforms)])
        parts.append(in_condition(corpus.select(own), folder, transform))
    return concatenate(parts)


def on_base(
    base: Path, folder: Path, noises: Noises, conditions: tuple[Condition, ...], snrs: Sequence[float], updates: int,
    meta: MetaTraining, workdir: Path, seed: int,
) -> InNoise:  # fmt: skip
    """Train a head on a frozen encoder, with each speaker in one condition, as in the tasks of meta-training.

    Args:
      base: folder of the public encoder.
      folder: of the transcribed speech.
      noises, snrs: of training.
      conditions: of the test.
      updates: of the head.
      meta: how a start for adaptation is meta-trained.
      workdir: of checkpoints and logs.
      seed: of the noise, the head and the tasks.
    """
    encoder = read_encoder(base)
    lower, _ = encoder.split(0)
    speech = read_corpora([folder], seed=seed, drop=True, features=encoder.features, frames_out=frames_out(encoder))
    train = speakers_in_noise(speech.train, folder, noises, snrs, seed)

    def encode(corpus: Corpus) -> Corpus:
        key = {"base": encoder.sha256, "layers": 0, "recordings": corpus.fingerprint}
        return cached_activations(corpus, lower, encoder.params, key, batch=16)

    data = {"base": encoder.sha256, "data": train.fingerprint}
    upper = train_upper_part(
        encode, train, speech.vocabulary, SIZE, workdir / "head", updates=updates, batch=BATCH, seed=seed, config=data
    )
    methods = dict(adapter_methods(upper.model(speech.vocabulary.size), upper.width))

    def start(name: str) -> PyTree:
        if (method := methods[name]).meta is None:
            return method.start(upper.params, meta.inner_rate)
        tasks = speaker_tasks(upper.encode(train), speech.vocabulary, meta, seed)
        return meta_train(
            method, upper.params, tasks, meta, workdir / name, width=upper.width, seed=seed,
            config={"method": name} | data,
        )  # fmt: skip

    return InNoise(folder, speech, conditions, upper.params, methods, start, upper.encode, noises.digest)
