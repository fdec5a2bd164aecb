"""Training of CTC recognisers on a public encoder: first of a head, then of adapters together with the head."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmeta.data.augmentation.rows import Transform
from jaxmeta.data.augmentation.transforms import spec_augment
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.transcribed import short_enough
from jaxmeta.models.acoustic import Size
from jaxmeta.models.layers import speech_form
from jaxmeta.models.pretrained.adapted import new_adapters
from jaxmeta.recognition.corpora import TranscribedSpeech
from jaxmeta.recognition.presets import RecogniserPreset
from jaxmeta.recognition.pretrained.activations import activations_below
from jaxmeta.recognition.pretrained.encoder import PublicEncoder
from jaxmeta.recognition.pretrained.on_base import BUILDER, OnEncoder, base_options
from jaxmeta.recognition.pretrained.presets import BasePreset, Stage
from jaxmeta.recognition.recogniser import Recogniser, RecogniserCard, network
from jaxmeta.recognition.training import train_on_all_speakers
from jaxmeta.types import PyTree

_SUBSAMPLING = 2
"""Frames of the encoder to one of the head's logits."""


def frames_out(encoder: PublicEncoder) -> Callable[[Any], Any]:
    """Frames of the logits for frames of the encoder's features, as a function of numbers or arrays."""
    return lambda frames: -(-frames // (encoder.subsampling * _SUBSAMPLING))


def train_on_base(
    encoder: PublicEncoder,
    folder: Path,
    speech: TranscribedSpeech,
    training: BasePreset,
    directory: Path,
    *,
    seed: int,
    config: Mapping[str, Any],
) -> Recogniser:
    """Train a head, and with a rank above 0 then adapters and the head together, or load what was trained before.

    What lies below the lowest part that learns runs once for each recording, and is cached on the disk.
    Args:
      encoder: stays as it is.
      folder: of the encoder, for the card.
      speech: with the features that the encoder takes.
      training: how long, and what learns.
      directory: of the checkpoints and the logs, in a folder for each stage.
      seed: of the initial weights, the order of utterances and the augmentation.
      config: what decides the result besides `training` and the seed: fingerprints of the data.
    Raises:
      Interrupted: a signal came; the same call resumes.
      ValueError: layers or rank that do not fit the encoder; else as `training.train_on_all_speakers`.
    """
    config = dict(config) | {"base": encoder.sha256}
    card = _card(encoder, folder, training, 0)
    params = _stage(card, encoder, speech, training, training.frozen, directory / "frozen", None, seed, config)
    if training.rank and training.layers:
        card = _card(encoder, folder, training, training.rank)
        _, upper = encoder.split(card.options["layers"])
        used = jax.eval_shape(upper.init, jax.random.key(0), speech_form(1, 8, encoder.width))[0]
        start = params | {"adapters": new_adapters(used, training.rank, jax.random.key(seed))}
        params = _stage(card, encoder, speech, training, training.adapted, directory / "adapters", start, seed, config)
    return Recogniser(card, speech.vocabulary, params, OnEncoder(encoder))


def activations(encoder: PublicEncoder, corpus: Corpus, layers: int) -> Corpus:
    """The corpus with what the encoder gives below its uppermost layers, from the cache; 0 layers: with its outputs.

    Recordings that are longer than the encoder takes at once are left out. Of processes that train together the first
    one fills the cache, and the others read it where they share the folder.
    """
    lower, _ = encoder.split(layers)
    return activations_below(
        short_enough(corpus, encoder.longest), lower, encoder.params, {"base": encoder.sha256, "layers": layers}
    )


def activation_masks(width: int) -> Transform:
    """What activations [T, width] go through in training: two stretches of time and two of features are masked."""
    return spec_augment(time_masks=2, time_width=15, frequency_masks=2, frequency_width=width // 8, time_fraction=0.1)


def _stage(
    card: RecogniserCard,
    encoder: PublicEncoder,
    speech: TranscribedSpeech,
    training: BasePreset,
    stage: Stage,
    directory: Path,
    params: PyTree,
    seed: int,
    config: Mapping[str, Any],
) -> PyTree:
    layers = card.options["layers"]
    corpus, held_out = (activations(encoder, each, layers) for each in (speech.train, for_logs(speech.held_out)))
    model = network(card, speech.vocabulary, OnEncoder(encoder, training.dropout).above)
    preset = RecogniserPreset(
        training.kind, "small", stage.updates, stage.rate, training.frames_per_batch, training.max_frames,
        training.dropout,
    )  # fmt: skip
    return train_on_all_speakers(
        model, corpus, held_out, speech.vocabulary, preset, directory, seed=seed,
        config=dict(config) | {"options": card.options | {"base": ""}}, augment=activation_masks(encoder.width),
        params=params,
    )  # fmt: skip


def _card(encoder: PublicEncoder, folder: Path, training: BasePreset, rank: int) -> RecogniserCard:
    layers = min(training.layers, encoder.layers)
    options = base_options(encoder, folder, layers, rank, training.kind, Size(training.width, training.depth))
    return RecogniserCard(
        BUILDER, options, encoder.features, encoder.subsampling * _SUBSAMPLING, longest=encoder.longest,
        rate=training.voice_rate, steps=training.voice_steps,
    )  # fmt: skip


def for_logs(held_out: Corpus, most: int = 100) -> Corpus:
    """Some utterances of the validation speakers, or where there are none of all who are held out; evenly spaced."""
    validation = held_out.columns["split"] != "test"
    rows = np.flatnonzero(validation if validation.any() else ~validation)
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))]
    return held_out.select(np.isin(np.arange(len(held_out)), chosen))
