"""A Whisper of which low-rank adapters learn: in every matrix of the decoder, and of the encoder's uppermost layers.

Hu et al. 2021, "LoRA: low-rank adaptation of large language models" (arXiv 2106.09685).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.layers import frame_mask
from jaxmeta.models.low_rank import with_adapters
from jaxmeta.models.pretrained.adapted import adding
from jaxmeta.models.pretrained.whisper import WhisperConfig, whisper, whisper_encoder
from jaxmeta.models.seq2seq import Spoken
from jaxmeta.types import Key, Model, PyTree, Ragged

_BELOW_THE_LOUDEST = 2.0
"""Of silence, in the units of Whisper's log-mels: 8 decades, divided by 4."""


class TaughtWhisper(NamedTuple):
    """The part of a Whisper that learns; params are {path in the whole Whisper: {"down", "up"}}."""

    model: Model
    """Spoken, with activations in the place of log-mels -> logits [N, L, C] of the token after each."""
    memory: Callable[[PyTree, Ragged], Ragged]
    """(adapters, activations) -> what the decoder looks at."""


def taught_whisper(config: WhisperConfig, base: PyTree, rank: int, layers: int, silence: int = 0) -> TaughtWhisper:
    """Adapters in float32 on a frozen Whisper. They change nothing at first.

    Args:
      config: of the network.
      base: its params, of any floating type. They are no part of the params that learn.
      rank: of the adapters, 1 or more.
      layers: uppermost layers of the encoder with adapters. The activations are those below them: with 0 what
        `Whisper.encode` gives, with all of them log-mels.
      silence: frames of silence that are added behind log-mels; behind activations they are there already.
    """
    first = config.encoder_layers - layers
    encoder = whisper_encoder(config, first) if first else with_silence(whisper_encoder(config), silence)
    network = whisper(config)

    def init(key: Key, inputs: PyTree) -> tuple[PyTree, PyTree]:
        return taught_adapters(base, rank, layers, config.encoder_layers, key), {}

    def memory(adapters: PyTree, activations: Ragged) -> Ragged:
        if not layers:
            return activations
        own = {path.removeprefix("encoder/"): each for path, each in adapters.items() if path.startswith("encoder/")}
        with nn.intercept_methods(adding(own)):
            return encoder.apply(base["encoder"], {}, activations, jax.random.key(0), False)[0]

    def apply(params, state, inputs, key, train):
        seen = memory(params, inputs.speech)
        with nn.intercept_methods(adding(params)):
            return network.decode({"decoder": base["decoder"]}, seen, inputs.prefix), state

    return TaughtWhisper(Model(init, apply), memory)


def taught_adapters(params: PyTree, rank: int, layers: int, of: int, key: Key) -> PyTree:
    """Adapters that change nothing yet, of every matrix in the decoder's and some of the encoder's layers.

    Args:
      params: of a Whisper, or their shapes.
      rank: 1 or more.
      layers: uppermost layers of the encoder with adapters.
      of: layers of the encoder.
      key: of the draw.
    """
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, "float32"), params)
    return with_adapters(shapes, rank, lambda path: is_taught(path, of - layers), key)["adapters"]


def is_taught(path: str, first: int) -> bool:
    """Whether a path of Whisper's params is that of a matrix in a layer of the decoder, or of the encoder from one on.

    >>> [is_taught(f"{part}/layers_1/fc1/kernel", 2) for part in ("decoder", "encoder")]
    [True, False]
    """
    part, layer, *rest = path.split("/")
    if not (layer.startswith("layers_") and rest and rest[-1] == "kernel"):
        return False
    return part == "decoder" or int(layer.removeprefix("layers_")) >= first


def with_silence(model: Model, frames: int) -> Model:
    """A model of Ragged log-mels of Whisper with so many frames of silence behind each of them."""
    return Model(
        lambda key, inputs: model.init(key, silent_after(inputs, frames)),
        lambda params, state, inputs, key, train: model.apply(params, state, silent_after(inputs, frames), key, train),
    )


def silent_after(speech: Ragged, frames: int) -> Ragged:
    """Whisper's log-mels [N, T, M] with silence behind each row, [N, T + frames, M].

    What a silent recording has is the least value, which depends on the loudest one.
    """
    values, lengths = speech
    real = frame_mask(lengths, values.shape[1])[..., None]
    loudest = jnp.max(jnp.where(real, values, -jnp.inf), axis=(1, 2), keepdims=True)
    loudest = jnp.where(jnp.isfinite(loudest), loudest, 0).astype(values.dtype)
    silent = loudest - jnp.asarray(_BELOW_THE_LOUDEST, values.dtype)
    longer = jnp.where(real, values, silent)
    behind = jnp.broadcast_to(silent, (len(values), frames, values.shape[2]))
    return Ragged(jnp.concatenate([longer, behind], axis=1), lengths + frames)


def masked_tokens(key: Key, inputs: Spoken, prompt: int, mask: int, share: float) -> Spoken:
    """Inputs of the decoder with a share of the tokens after the prompt replaced, so that it listens more.

    Args:
      key: of the draw.
      inputs: with prefixes [N, L].
      prompt: tokens at the beginning that stay.
      mask: the token in the place of others, such as the end.
      share: 0 to 1.
    """
    hidden = jax.random.bernoulli(key, share, inputs.prefix.shape) & (jnp.arange(inputs.prefix.shape[1]) >= prompt)
    return inputs._replace(prefix=jnp.where(hidden, mask, inputs.prefix))
