"""Whisper: a Transformer encoder of log-mels, and a decoder that writes the transcript token by token.

Radford et al. 2022, "Robust speech recognition via large-scale weak supervision" (arXiv 2212.04356).
Differs from the original in one point: a short recording stays short. Its positions are cut instead of its features
padded to 30 seconds; pad the recording itself to get what others compute.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from jaxmeta.models.layers import apply_mask, frame_mask
from jaxmeta.models.linen import from_linen
from jaxmeta.models.pretrained.blocks import ACTIVATIONS, Attention, LayerNorm, require, widened
from jaxmeta.models.pretrained.folder import chosen_fields, read_config, read_weights, write_folder
from jaxmeta.models.pretrained.whispers.greedy import fits, greedy_tokens
from jaxmeta.models.seq2seq import Spoken
from jaxmeta.types import Array, Loss, Model, PyTree, Ragged


@dataclass(frozen=True)
class WhisperConfig:
    """What config.json says of a Whisper network; fields have its names."""

    d_model: int = 384
    encoder_layers: int = 4
    encoder_attention_heads: int = 6
    encoder_ffn_dim: int = 1536
    decoder_layers: int = 4
    decoder_attention_heads: int = 6
    decoder_ffn_dim: int = 1536
    vocab_size: int = 51864
    num_mel_bins: int = 80
    max_source_positions: int = 1500
    """Encoder frames, 50 a second."""
    max_target_positions: int = 448
    activation_function: str = "gelu"


class Whisper(NamedTuple):
    """Whisper as a Model, and its halves for decoding, where the encoder need run once only."""

    model: Model
    """Spoken of log-mels [N, T, M] and tokens [N, L] -> logits [N, L, C] of the token after each."""
    encode: Callable[[PyTree, Ragged], Ragged]
    """(params, log-mels [N, T, M]) -> memory [N, ceil(T / 2), D]."""
    decode: Callable[[PyTree, Ragged, Array], Array]
    """(params, memory, tokens [N, L]) -> logits [N, L, C] of the token after each; uses those of "decoder" alone."""
    greedy: Callable[..., Ragged]
    """(params, memory, prompt [P], end, length, suppress=(), suppress_first=(), words=None) -> tokens [N, length] after
    the prompt, without the end, which is the number `end`. Tokens of `suppress` are never written, those of
    `suppress_first` not as the first, and those of `words`, which are `Favoured`, more readily. What a step has
    computed of keys and values is not computed again."""


def whisper(config: WhisperConfig) -> Whisper:
    """The encoder and the decoder; params are {"encoder", "decoder"} with the names of the checkpoint.

    Raises:
      ValueError: at trace time, recordings or prefixes that are longer than the network has positions for.
    """
    module: Any = _Whisper(config)

    def encode(params: PyTree, speech: Ragged) -> Ragged:
        return module.apply({"params": params}, speech, method="encode")

    def decode(params: PyTree, memory: Ragged, tokens: Array) -> Array:
        return module.apply({"params": params}, memory, tokens, method="decode")

    def greedy(params, memory, prompt, end, length, suppress=(), suppress_first=(), words=None):
        decoder = module.bind({"params": params}).decoder
        return greedy_tokens(config, decoder, memory, prompt, end, length, (suppress, suppress_first), words)

    return Whisper(from_linen(module), encode, decode, greedy)


def whisper_encoder(config: WhisperConfig, first: int | None = None, last: int | None = None) -> Model:
    """The encoder alone, log-mels [N, T, M] -> Ragged [N, ceil(T / 2), D], or some of its layers.

    Args:
      config: of the network; params are those under "encoder" of `whisper`, or the part of them that is used.
      first: layer that the part starts with, whose inputs are then the outputs of the part before; None: at log-mels.
      last: layer before which the part ends; None: the last one, and the normalisation after it.
    """
    return from_linen(_Encoder(config, first, last))


def read_whisper(folder: str | Path, dtype: Any = None) -> tuple[WhisperConfig, PyTree]:
    """Config and params of a Hugging Face folder (config.json and model.safetensors, or its shards).

    Args:
      folder: on the disk.
      dtype: of the params, such as jnp.bfloat16; None: as they are stored.
    Raises:
      ValueError: another architecture; missing, extra or misshapen weights; a pickled checkpoint; a damaged file.
      OSError: no such folder or file.
    """
    found = read_config(folder, ("whisper",))
    known = {"tie_word_embeddings": (True,), "scale_embedding": (False,), "activation_function": tuple(ACTIVATIONS)}
    require(found, known)
    config = chosen_fields(WhisperConfig, found)
    model = whisper(config).model
    inputs = Spoken(_nothing(config), jnp.zeros((1, 1), jnp.int32))
    shapes = jax.eval_shape(model.init, jax.random.key(0), inputs)[0]
    return config, read_weights(folder, shapes, prefix="model.", unused=("proj_out.",), dtype=dtype)


def teacher_forced(speech: Ragged, labels: Ragged, prompt: Sequence[int], end: int) -> tuple[Spoken, Ragged]:
    """Inputs and targets that teach the decoder to write labels, token numbers [N, L], and the end after a prompt.

    The loss is `after_prompt(sequence_cross_entropy, len(prompt))`.
    """
    real = frame_mask(labels.lengths, labels.values.shape[1])
    written = jnp.where(real, labels.values, end)
    before = jnp.broadcast_to(jnp.asarray(prompt, written.dtype), (len(written), len(prompt)))
    targets = Ragged(jnp.pad(written, ((0, 0), (0, 1)), constant_values=end), labels.lengths + 1)
    return Spoken(speech, jnp.concatenate([before, written], axis=1)), targets


def after_prompt(loss: Loss, prompt: int) -> Loss:
    """A loss of logits [N, L, C] and labels that leaves out what is predicted inside of a prompt of so many tokens."""
    return lambda outputs, targets: loss(outputs[:, prompt - 1 :], targets)


def write_whisper(folder: str | Path, config: dict[str, Any], params: PyTree) -> None:
    """Write what `read_whisper` and transformers read, from what config.json holds and the params."""
    write_folder(folder, config, params, "model.")


def _nothing(config: WhisperConfig) -> Ragged:
    return Ragged(jnp.zeros((1, 2, config.num_mel_bins)), jnp.ones(1, jnp.int32))


class EncoderLayer(nn.Module):
    """Frames [N, T, D] and a mask of what is seen -> [N, T, D]."""

    config: WhisperConfig

    @nn.compact
    def __call__(self, values: Array, mask: Array) -> Array:
        config = self.config
        attention = Attention(config.d_model, config.encoder_attention_heads, False, name="self_attn")
        normed = LayerNorm(epsilon=1e-5, name="self_attn_layer_norm")(values)
        values = values + attention(normed, attention.keys_values(normed), mask)
        hidden = nn.Dense(config.encoder_ffn_dim, name="fc1")(LayerNorm(epsilon=1e-5, name="final_layer_norm")(values))
        return values + nn.Dense(config.d_model, name="fc2")(ACTIVATIONS[config.activation_function](hidden))


class _Encoder(nn.Module):
    config: WhisperConfig
    first: int | None = None
    last: int | None = None

    @nn.compact
    def __call__(self, speech: Ragged) -> Ragged:
        config, speech = self.config, speech._replace(values=widened(speech.values))
        values, lengths = self._front(speech) if self.first is None else speech
        mask = frame_mask(lengths, values.shape[1])[:, None, None]
        layers = config.encoder_layers
        for index in range(layers)[self.first : self.last]:
            values = EncoderLayer(config, name=f"layers_{index}")(values, mask)
        if self.last is None:
            values = LayerNorm(epsilon=1e-5, name="layer_norm")(values)
        return Ragged(apply_mask(values, lengths), lengths)

    def _front(self, speech: Ragged) -> tuple[Array, Array]:
        config, act = self.config, ACTIVATIONS["gelu"]  # Whatever the Transformer has.
        fits(speech.values.shape[1], 2 * config.max_source_positions, "frames of log-mels")
        values = apply_mask(speech.values, speech.lengths)
        values = act(nn.Conv(config.d_model, (3,), padding=1, name="conv1")(values))
        values = apply_mask(values, speech.lengths)
        values = act(nn.Conv(config.d_model, (3,), 2, padding=1, name="conv2")(values))
        positions = nn.Embed(config.max_source_positions, config.d_model, name="embed_positions").embedding
        values = values + positions[: values.shape[1]]
        lengths = (speech.lengths + 1) // 2
        return apply_mask(values, lengths), lengths


class DecoderLayer(nn.Module):
    """A layer of the decoder; `crossed` gives it keys and values of the encoder's frames."""

    config: WhisperConfig

    def setup(self) -> None:
        width, heads = self.config.d_model, self.config.decoder_attention_heads
        self.self_attn = Attention(width, heads, False)
        self.encoder_attn = Attention(width, heads, False)
        self.self_attn_layer_norm = LayerNorm(epsilon=1e-5)
        self.encoder_attn_layer_norm = LayerNorm(epsilon=1e-5)
        self.final_layer_norm = LayerNorm(epsilon=1e-5)
        self.fc1 = nn.Dense(self.config.decoder_ffn_dim)
        self.fc2 = nn.Dense(width)

    def crossed(self, memory: Array) -> tuple[Array, Array]:
        return self.encoder_attn.keys_values(memory)

    def __call__(self, values, crossed, mask, position, cache):
        """Values [N, L, D] from a position on, and the cache of keys and values of all positions; None: no cache."""
        normed = self.self_attn_layer_norm(values)
        own = self.self_attn.keys_values(normed)
        if cache is not None:
            own = jax.tree.map(lambda old, new: lax.dynamic_update_slice_in_dim(old, new, position, 1), cache, own)
        before = jnp.arange(own[0].shape[1]) <= position + jnp.arange(values.shape[1])[:, None]
        values = values + self.self_attn(normed, own, before[None, None])
        values = values + self.encoder_attn(self.encoder_attn_layer_norm(values), crossed, mask)
        hidden = ACTIVATIONS[self.config.activation_function](self.fc1(self.final_layer_norm(values)))
        return values + self.fc2(hidden), own


class _Decoder(nn.Module):
    config: WhisperConfig

    def setup(self) -> None:
        config = self.config
        self.embed_tokens = nn.Embed(config.vocab_size, config.d_model)
        self.embed_positions = nn.Embed(config.max_target_positions, config.d_model)
        self.layers = [DecoderLayer(config) for _ in range(config.decoder_layers)]
        self.layer_norm = LayerNorm(epsilon=1e-5)

    def crossed(self, memory: Array) -> list[tuple[Array, Array]]:
        """Keys and values of the encoder's frames, for every layer."""
        return [layer.crossed(memory) for layer in self.layers]

    def __call__(self, tokens: Array, crossed: list, mask: Array, position: Any = 0, caches: Any = None):
        """Logits [N, L, C] after tokens [N, L] from a position on, and what they leave in the caches."""
        # Embeddings may be stored in half the width; what is computed has the width of the features.
        dtype = crossed[0][0].dtype
        places = lax.dynamic_slice_in_dim(self.embed_positions.embedding, position, tokens.shape[1])
        values = self.embed_tokens(tokens).astype(dtype) + places.astype(dtype)
        left = []
        for layer, seen, cache in zip(self.layers, crossed, caches or [None] * len(crossed), strict=True):
            values, cache = layer(values, seen, mask, position, cache)
            left.append(cache)
        return self.embed_tokens.attend(self.layer_norm(values)), left


class _Whisper(nn.Module):
    config: WhisperConfig

    def setup(self) -> None:
        self.encoder = _Encoder(self.config)
        self.decoder = _Decoder(self.config)

    def encode(self, speech: Ragged) -> Ragged:
        return self.encoder(speech)

    def decode(self, memory: Ragged, tokens: Array) -> Array:
        fits(tokens.shape[1], self.config.max_target_positions, "tokens")
        mask = frame_mask(memory.lengths, memory.values.shape[1])[:, None, None]
        return self.decoder(tokens, self.decoder.crossed(memory.values), mask)[0]

    def __call__(self, inputs: Spoken) -> Array:
        return self.decode(self.encoder(inputs.speech), inputs.prefix)
