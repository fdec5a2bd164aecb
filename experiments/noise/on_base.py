"""A recogniser on a frozen public encoder that is trained in noise: a head, of which the upper part adapts."""

from collections.abc import Sequence
from pathlib import Path

from experiments.noise.data import InNoise, speakers_in_noise
from jaxmeta.data.augmentation.conditions import Condition
from jaxmeta.data.augmentation.waveform import Noises
from jaxmeta.data.corpus import Corpus
from jaxmeta.models.acoustic import Size
from jaxmeta.recognition.corpora import read_corpora
from jaxmeta.recognition.presets import MetaTraining
from jaxmeta.recognition.pretrained.activations import cached_activations
from jaxmeta.recognition.pretrained.encoder import read_encoder
from jaxmeta.recognition.pretrained.meta_training import adapter_methods, meta_train, speaker_tasks
from jaxmeta.recognition.pretrained.training import frames_out
from jaxmeta.recognition.shifts.frozen_head import train_upper_part
from jaxmeta.types import PyTree

SIZE, BATCH = Size(192, 2), 32
"""Of the head, whose lowest layer is frozen after training; and utterances of an update of it."""


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
