"""The encoder of a public network, whatever its family, as a recogniser with a CTC head needs it."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jax import numpy as jnp

from jaxmeta.data.features import FeatureConfig, waveform_frames, whisper_features
from jaxmeta.models.layers import apply_mask
from jaxmeta.models.pretrained.folder import read_config
from jaxmeta.models.pretrained.wav2vec2 import KINDS, Wav2Vec2Config, normalised, read_wav2vec2, wav2vec2
from jaxmeta.models.pretrained.whisper import WhisperConfig, read_whisper, whisper_encoder
from jaxmeta.recognition.pretrained.bases import base_hash
from jaxmeta.types import Model, PyTree, Ragged


class PublicEncoder(NamedTuple):
    """An encoder of log-mels or waveforms."""

    part: Callable[[int | None, int | None], Model]
    """(first, last) -> the model of some of its layers, as `whisper_encoder` and `wav2vec2` take them."""
    params: PyTree
    layers: int
    width: int
    """Numbers in a frame that it gives."""
    features: FeatureConfig
    """What recordings are turned into."""
    subsampling: int
    """Frames of the features to one that it gives."""
    longest: int | None
    """Frames of the features that it takes; None: any number."""
    sha256: str
    """Of its files, as `base_hash` computes it."""

    def split(self, layers: int) -> tuple[Model, Model]:
        """The part that ends below the uppermost layers, and that part, which takes what the first one gives.

        Raises:
          ValueError: it does not have so many layers.
        """
        if not 0 <= layers <= self.layers:
            raise ValueError(f"layers={layers} must lie between 0 and {self.layers}, the number of the base's layers.")
        if not layers:
            return self.part(None, None), nothing()
        first = self.layers - layers
        return self.part(None, first), self.part(first, None)


def nothing() -> Model:
    """The model that gives its inputs as they are, without params."""
    return Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))


def read_encoder(folder: str | Path, dtype: Any = None) -> PublicEncoder:
    """The encoder of a Hugging Face folder of Whisper, wav2vec2, HuBERT or WavLM.

    Args:
      folder: on the disk.
      dtype: of the weights; None: as they are stored.
    Raises:
      ValueError, OSError: as `read_whisper` and `read_wav2vec2` do.
    """
    if read_config(folder, ("whisper", *KINDS))["model_type"] == "whisper":
        return _of_whisper(*read_whisper(folder, dtype), base_hash(folder))
    preprocessor = Path(folder) / "preprocessor_config.json"
    said = json.loads(preprocessor.read_text(encoding="utf-8")) if preprocessor.is_file() else {}
    return _of_wav2vec2(*read_wav2vec2(folder, dtype), bool(said.get("do_normalize", True)), base_hash(folder))


def _of_whisper(config: WhisperConfig, params: PyTree, sha256: str) -> PublicEncoder:
    return PublicEncoder(
        partial(whisper_encoder, config), params["encoder"], config.encoder_layers, config.d_model,
        whisper_features(config.num_mel_bins), 2, 2 * config.max_source_positions, sha256,
    )  # fmt: skip


def _of_wav2vec2(config: Wav2Vec2Config, params: PyTree, normalise: bool, sha256: str) -> PublicEncoder:
    return PublicEncoder(
        partial(_wav2vec2_of_frames, config, normalise), params, config.num_hidden_layers, config.hidden_size,
        waveform_frames(math.prod(config.conv_stride)), 1, None, sha256,
    )  # fmt: skip


def _wav2vec2_of_frames(config: Wav2Vec2Config, normalise: bool, first: int | None, last: int | None) -> Model:
    """The encoder on waveforms in frames [N, T, hop], as `waveform_frames` makes them, or a part of its layers."""
    model = wav2vec2(config, first, last)
    if first is not None:
        return model
    hop = math.prod(config.conv_stride)
    # As many zeros at the end as give each frame of samples a frame of activations.
    lack = _least_samples(config) - hop

    def waveforms(frames: Ragged) -> Ragged:
        rows, count, _ = frames.values.shape
        whole = Ragged(frames.values.reshape(rows, count * hop), frames.lengths * hop)
        values, lengths = normalised(whole) if normalise else whole
        return Ragged(jnp.pad(apply_mask(values, lengths), ((0, 0), (0, lack))), lengths + lack)

    return Model(
        lambda key, inputs: model.init(key, waveforms(inputs)),
        lambda params, state, inputs, key, train: model.apply(params, state, waveforms(inputs), key, train),
    )


def _least_samples(config: Wav2Vec2Config) -> int:
    """Of the shortest waveform that has a frame."""
    samples = 1
    for kernel, stride in zip(config.conv_kernel[::-1], config.conv_stride[::-1], strict=True):
        samples = (samples - 1) * stride + kernel
    return samples
