"""What embeds a word: a public embedding of words, a Whisper encoder, or a word network of our own; all frozen."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import librosa
import numpy as np

from jaxmeta.compress.onnx import OnnxModel
from jaxmeta.data.features import extract, whisper_features
from jaxmeta.data.pretrained.embedding_features import word_bands, word_mels
from jaxmeta.data.word_corpora import FEATURES
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.models.layers import segment_pool
from jaxmeta.models.pretrained.whisper import read_whisper, whisper_encoder
from jaxmeta.models.pretrained.word_embedding import read_word_embedding, word_embedding
from jaxmeta.types import Array, Model, PyTree, Ragged
from jaxmeta.words.training import trained_encoder

RATE = 16_000
"""Samples a second."""
CLIP = 25_600
"""Samples of the stretch in whose middle a word is put: 1.6 s."""
WINDOW = 24_000
"""Samples that EfficientWord-Net looks at: 1.5 s."""
SEGMENTS = 8
"""Of relative time, over which frames of the Whisper encoder are averaged."""


class Embedding(NamedTuple):
    """A frozen network that turns each recording of a word into S vectors of D numbers."""

    name: str
    digest: str
    """Of its weights, for the key of what is cached."""
    features: Callable[[np.ndarray], np.ndarray]
    """Waveform [samples] at `RATE` -> what the network takes, [T, F]."""
    apply: Callable[[PyTree, Ragged], Array]
    """(params, Ragged features) -> embeddings [N, S, D]; compiled."""
    params: PyTree


def google(path: Path) -> Embedding:
    """Google's speech embedding from a safetensors file: 11 vectors of 96 numbers, each of 0.76 s.

    Raises:
      ValueError: missing, extra or misshapen weights; a damaged file.
      OSError: no such file.
    """
    model = word_embedding()
    return _embedding("Google", lambda waveform: word_mels(centred(waveform)), model, read_word_embedding(path))


def efficientword(path: Path) -> Embedding:
    """EfficientWord-Net from the ONNX file of its package: one vector of 2,048 numbers. Needs the extra "onnx".

    Args:
      path: the unquantised file, of eff_word_net/models/resnet_50_arc/ in the package efficientword-net 1.0.5.
    Raises:
      OSError: no such file.
    """
    digest = hashlib.sha256(f"EfficientWord-Net {WINDOW}".encode() + path.read_bytes()).hexdigest()
    opened = functools.cache(OnnxModel)  # Only where a recording is not in the cache.

    def apply(params: PyTree, inputs: Ragged) -> Any:
        values, lengths = np.asarray(inputs.values), np.asarray(inputs.lengths)
        vectors = np.zeros((len(values), 1, 2048), np.float32)
        for row in np.flatnonzero(lengths == values.shape[1]):  # The file takes one at a time; the others are padding.
            vectors[row] = opened(path)(values[row][None, None])[0]
        return vectors

    return Embedding("EfficientWord-Net", digest, lambda waveform: word_bands(centred(waveform, WINDOW)), apply, {})


def whisper(folder: Path) -> Embedding:
    """The encoder of a Whisper folder: means of its frames over 8 segments of the word's own duration.

    Raises:
      ValueError, OSError: as `read_whisper`.
    """
    config, params = read_whisper(folder, np.float32)
    features, encoder = whisper_features(config.num_mel_bins), whisper_encoder(config)

    def apply(params, state, inputs, key, train):
        frames, state = encoder.apply(params, state, inputs, key, train)
        return segment_pool(frames.values, frames.lengths, SEGMENTS), state

    name = f"Whisper {folder.resolve().name}"
    return _embedding(
        name, lambda waveform: extract(trimmed(waveform), features), Model(encoder.init, apply), params["encoder"]
    )


def own(model: Model, params: PyTree) -> Embedding:
    """A trained word network of this package, of the log-mels `FEATURES`: one vector.

    Args:
      model: Ragged log-mels [N, T, 64] -> embeddings [N, D].
      params: of the model.
    """

    def apply(params, state, inputs, key, train):
        outputs, state = model.apply(params, state, inputs, key, train)
        return outputs[:, None], state

    return _embedding("own network", lambda waveform: extract(waveform, FEATURES), Model(model.init, apply), params)


def open_embedding(path: Path) -> Embedding:
    """Google's speech embedding (safetensors), EfficientWord-Net (onnx), a Whisper folder, or a prototypical network.

    The network is in the working directory of a finished run.

    Raises:
      ValueError, OSError: as `google`, `efficientword`, `whisper` and `trained_encoder`.
    """
    if not path.is_dir():
        return efficientword(path) if path.suffix == ".onnx" else google(path)
    return whisper(path) if (path / "config.json").exists() else own(*trained_encoder(path))


def centred(waveform: np.ndarray, samples: int = CLIP) -> np.ndarray:
    """The word in the middle of a stretch of this length, with zeros around it; a longer one keeps its middle.

    >>> centred(np.ones(3), 6).tolist()
    [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    """
    word = trimmed(waveform)
    before = (samples - len(word)) // 2
    if before < 0:
        return word[-before:][:samples]
    return np.pad(word, (before, samples - len(word) - before))


def trimmed(waveform: np.ndarray) -> np.ndarray:
    """The waveform without what is 30 dB below its loudest frame, at both ends."""
    word, _ = librosa.effects.trim(waveform, top_db=30, frame_length=400, hop_length=160)
    return word if len(word) else waveform


def _embedding(name: str, features: Callable, model: Model, params: PyTree) -> Embedding:
    @jax.jit
    def apply(params, inputs):
        return model.apply(params, {}, inputs, jax.random.key(0), False)[0]

    def vectors(params, inputs):
        outputs = apply(params, inputs)
        return outputs.values if isinstance(outputs, Ragged) else outputs

    digest = hashlib.sha256(f"{name} {CLIP} {SEGMENTS} {params_digest(params)}".encode()).hexdigest()
    return Embedding(name, digest, features, vectors, params)
