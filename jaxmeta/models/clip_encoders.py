"""Networks for short clips, words and commands: log-mel frames of any length in, an embedding or logits out."""

from collections.abc import Mapping
from typing import Literal

from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.layers import Convolution, LayerNorm, segment_pool
from jaxmeta.models.linen import Wrap, from_linen, unwrapped
from jaxmeta.types import Array, Model, Ragged

Norm = Literal["layer", "batch", "transductive"]


def conv4(
    outputs: int | None = None,
    *,
    width: int = 64,
    frames: int = 64,
    norm: Norm = "layer",
    widths: Mapping[str, int] | None = None,
    wrap: Wrap = unwrapped,
) -> Model:
    """Four strided 3 x 3 convolutions over time and frequency: the few-shot literature's backbone, on log-mels.

    Args:
      outputs: number of classes, through a linear layer named "head"; None gives the embedding [N, 4 * width].
      width: channels of each layer.
      frames: each clip is pooled to this many segments of its own duration before the first layer.
      norm: "layer" normalises each example by itself. "batch" uses statistics of the batch in training and running
        averages in prediction. "transductive" uses those of the batch always: a query set then sees itself.
      widths: channels that pruning left of some layers ("Convolution_1"), as `compress.channels.shrink` gives them.
      wrap: what is done to the network before it becomes a Model, such as `compress.integer.aware`.
    Returns:
      Model of Ragged log-mels [N, T, F].
    Source: Vinyals et al. 2016 (arXiv 1606.04080), section 4.1; strides instead of pooling as in Finn et al. 2017.
    """
    _check(norm, widths)
    return from_linen(wrap(_Words(_Conv4(width, norm, widths or {}), outputs, frames)))


def residual(
    outputs: int | None = None,
    *,
    width: int = 128,
    frames: int = 64,
    norm: Norm = "layer",
    widths: Mapping[str, int] | None = None,
    wrap: Wrap = unwrapped,
) -> Model:
    """Three convolutions over time and frequency, then residual blocks over time alone.

    The first layers are local in pitch, so that a voice may shift up or down; the later ones see the whole spectrum,
    as the temporal convolutions of Choi et al. 2019 (arXiv 1904.03814) do, which costs little and keeps the order of
    sounds. Arguments and result are those of `conv4`.
    """
    _check(norm, widths)
    return from_linen(wrap(_Words(_Residual(width, norm, widths or {}), outputs, frames)))


def _check(norm: str, widths: Mapping[str, int] | None) -> None:
    if norm not in ("layer", "batch", "transductive"):
        raise ValueError(f"norm must be 'layer', 'batch' or 'transductive', got {norm!r}.")
    if widths and norm != "layer":
        raise ValueError(f"widths needs norm='layer', whose network has no state to shrink, got norm={norm!r}.")


class _Words(nn.Module):
    """Pooling to fixed time, a body, four segments of it as the embedding, and perhaps a head."""

    body: nn.Module
    outputs: int | None
    frames: int

    @nn.compact
    def __call__(self, inputs: Ragged, train: bool) -> Array:
        embedding = word_embedding(self.body(relative_time(inputs, self.frames), train))
        return embedding if self.outputs is None else nn.Dense(self.outputs, name="head")(embedding)


def residual_body(width: int = 128) -> nn.Module:
    """The trunk of `residual`, for networks with other heads.

    Its method `stages` takes images [N, S, F, 1] and `train`, and gives what the layers over time and frequency and
    each residual block after them make of these, [N, S / 4, width] each.
    """
    return _Residual(width, "layer", {})


def relative_time(inputs: Ragged, frames: int) -> Array:
    """Ragged log-mels [N, T, F] as standardised images [N, frames, F, 1] of each clip's own duration.

    A word spoken slowly and the same word spoken fast so meet the same kernels.
    """
    return standardise(segment_pool(inputs.values, inputs.lengths, frames))[..., None]


def word_embedding(hidden: Array) -> Array:
    """What a trunk gives [N, S, D] as the mean of four segments, so that the order of sounds counts, [N, 4 * D]."""
    embedding = segment_pool(hidden, jnp.full(hidden.shape[0], hidden.shape[1]), 4).reshape(hidden.shape[0], -1)
    # Squared distances start at about 10, where a softmax over them neither saturates nor is flat.
    return embedding * (20 / embedding.shape[1]) ** 0.5


class _Conv4(nn.Module):
    width: int
    norm: str
    widths: Mapping[str, int]

    @nn.compact
    def __call__(self, inputs: Array, train: bool) -> Array:
        layers, hidden = _Layers(self.norm, self.widths, train), inputs
        for strides in ((2, 2), (2, 2), (1, 2), (1, 2)):
            hidden = nn.relu(layers(hidden, self.width, strides=strides))
        return hidden.mean(axis=2)


class _Residual(nn.Module):
    width: int
    norm: str
    widths: Mapping[str, int]

    def __call__(self, inputs: Array, train: bool) -> Array:
        return self.stages(inputs, train)[-1]

    @nn.compact
    def stages(self, inputs: Array, train: bool) -> list[Array]:
        """What the layers over time and frequency give, and each residual block after them, [N, S / 4, width] each."""
        layers, hidden = _Layers(self.norm, self.widths, train), inputs
        for features, strides in ((self.width // 8, (2, 2)), (self.width // 4, (1, 2)), (3 * self.width // 8, (2, 2))):
            hidden = nn.relu(layers(hidden, features, strides=strides))
        hidden = hidden.reshape(*hidden.shape[:2], 1, -1)
        stages = [nn.relu(layers(hidden, self.width, (1, 1)))]
        for _ in range(2):
            change = nn.relu(layers(stages[-1], self.width, (3, 1)))
            stages.append(nn.relu(stages[-1] + layers(change, self.width, (3, 1))))
        return [stage[:, :, 0] for stage in stages]


class _Layers:
    """Makes the convolutions of a body, numbered, with their normalisation, as wide as pruning left them."""

    def __init__(self, norm: str, widths: Mapping[str, int], train: bool):
        self._norm, self._widths, self._train, self._count = norm, widths, train, 0

    def __call__(
        self, hidden: Array, features: int, kernel_size: tuple[int, int] = (3, 3), strides: tuple[int, int] = (1, 1)
    ) -> Array:
        name = f"Convolution_{self._count}"
        self._count += 1
        hidden = Convolution(self._widths.get(name, features), kernel_size, strides, name=name)(hidden)
        if self._norm == "layer":
            return LayerNorm(features, (1, 2, 3), epsilon=1e-5)(hidden)
        average = self._norm == "batch" and not self._train
        return nn.BatchNorm(use_running_average=average, momentum=0.9)(hidden)


def standardise(clips: Array) -> Array:
    """Centre and scale each clip of log-mels [N, T, F] by itself; silence becomes 0.

    Whatever is 65 dB or more below the clip's loudest value is cut off, half of each band's own mean and half of the
    clip's mean are taken away, and the clip is scaled to unit variance. The mean spectrum carries the microphone, but
    also the vowels of a word: half of it did better than either extreme (experiments/LOG.md).
    """
    loudest = clips.max(axis=(1, 2), keepdims=True)
    clips = jnp.maximum(clips, loudest - 6.5 * jnp.log(10.0))
    centred = clips - (clips.mean(axis=1, keepdims=True) + clips.mean(axis=(1, 2), keepdims=True)) / 2
    variance = jnp.square(centred - centred.mean(axis=(1, 2), keepdims=True)).mean(axis=(1, 2), keepdims=True)
    return centred / jnp.sqrt(variance + 1e-6)
