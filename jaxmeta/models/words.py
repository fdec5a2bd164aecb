"""Networks for short clips, words and commands: log-mel frames of any length in, an embedding or logits out."""

from typing import Literal

from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.layers import Convolution, segment_pool
from jaxmeta.models.linen import from_linen
from jaxmeta.types import Array, Model, Ragged

Norm = Literal["layer", "batch", "transductive"]


def conv4(outputs: int | None = None, *, width: int = 64, frames: int = 64, norm: Norm = "layer") -> Model:
    """Four strided 3 x 3 convolutions over time and frequency: the few-shot literature's backbone, on log-mels.

    Args:
      outputs: number of classes, through a linear layer named "head"; None gives the embedding [N, 4 * width].
      width: channels of each layer.
      frames: each clip is pooled to this many segments of its own duration before the first layer.
      norm: "layer" normalises each example by itself. "batch" uses statistics of the batch in training and running
        averages in prediction. "transductive" uses those of the batch always: a query set then sees itself.
    Returns:
      Model of Ragged log-mels [N, T, F].
    Source: Vinyals et al. 2016 (arXiv 1606.04080), section 4.1; strides instead of pooling as in Finn et al. 2017.
    """
    _check_norm(norm)
    return from_linen(_Words(_Conv4(width, norm), outputs, frames))


def residual(outputs: int | None = None, *, width: int = 128, frames: int = 64, norm: Norm = "layer") -> Model:
    """Three convolutions over time and frequency, then residual blocks over time alone.

    The first layers are local in pitch, so that a voice may shift up or down; the later ones see the whole spectrum,
    as the temporal convolutions of Choi et al. 2019 (arXiv 1904.03814) do, which costs little and keeps the order of
    sounds. Arguments and result are those of `conv4`.
    """
    _check_norm(norm)
    return from_linen(_Words(_Residual(width, norm), outputs, frames))


def _check_norm(norm: str) -> None:
    if norm not in ("layer", "batch", "transductive"):
        raise ValueError(f"norm must be 'layer', 'batch' or 'transductive', got {norm!r}.")


class _Words(nn.Module):
    """Pooling to fixed time, a body, four segments of it as the embedding, and perhaps a head."""

    body: nn.Module
    outputs: int | None
    frames: int

    @nn.compact
    def __call__(self, inputs: Ragged, train: bool) -> Array:
        # Relative time: a word spoken slowly and the same word spoken fast meet the same kernels.
        clips = standardise(segment_pool(inputs.values, inputs.lengths, self.frames))
        hidden = self.body(clips[..., None], train)
        lengths = jnp.full(hidden.shape[0], hidden.shape[1])
        embedding = segment_pool(hidden, lengths, 4).reshape(hidden.shape[0], -1)
        # Squared distances start at about 10, where a softmax over them neither saturates nor is flat.
        embedding *= (20 / embedding.shape[1]) ** 0.5
        return embedding if self.outputs is None else nn.Dense(self.outputs, name="head")(embedding)


class _Conv4(nn.Module):
    width: int
    norm: str

    @nn.compact
    def __call__(self, inputs: Array, train: bool) -> Array:
        hidden = inputs
        for strides in ((2, 2), (2, 2), (1, 2), (1, 2)):
            hidden = nn.relu(_normalised(Convolution(self.width, strides=strides)(hidden), self.norm, train))
        return hidden.mean(axis=2)


class _Residual(nn.Module):
    width: int
    norm: str

    @nn.compact
    def __call__(self, inputs: Array, train: bool) -> Array:
        hidden = inputs
        for features, strides in ((self.width // 8, (2, 2)), (self.width // 4, (1, 2)), (3 * self.width // 8, (2, 2))):
            hidden = nn.relu(_normalised(Convolution(features, strides=strides)(hidden), self.norm, train))
        hidden = hidden.reshape(*hidden.shape[:2], 1, -1)
        hidden = nn.relu(_normalised(Convolution(self.width, (1, 1))(hidden), self.norm, train))
        for _ in range(2):
            change = nn.relu(_normalised(Convolution(self.width, (3, 1))(hidden), self.norm, train))
            hidden = nn.relu(hidden + _normalised(Convolution(self.width, (3, 1))(change), self.norm, train))
        return hidden[:, :, 0]


def standardise(clips: Array) -> Array:
    """Centre and scale each clip of log-mels [N, T, F] by itself; silence becomes 0.

    Whatever is 65 dB or more below the clip's loudest value is cut off, half of each band's own mean and half of the
    clip's mean are taken away, and the clip is scaled to unit variance. The mean spectrum carries the microphone, but
    also the vowels of a word: half of it did better than either extreme (experiments/README.md).
    """
    loudest = clips.max(axis=(1, 2), keepdims=True)
    clips = jnp.maximum(clips, loudest - 6.5 * jnp.log(10.0))
    centred = clips - (clips.mean(axis=1, keepdims=True) + clips.mean(axis=(1, 2), keepdims=True)) / 2
    variance = jnp.square(centred - centred.mean(axis=(1, 2), keepdims=True)).mean(axis=(1, 2), keepdims=True)
    return centred / jnp.sqrt(variance + 1e-6)


def _normalised(hidden: Array, norm: str, train: bool) -> Array:
    if norm == "layer":
        return nn.GroupNorm(num_groups=1, epsilon=1e-5)(hidden)
    return nn.BatchNorm(use_running_average=norm == "batch" and not train, momentum=0.9)(hidden)
