"""Whisper with the weights of all layers stacked, so that one program of a layer runs over them in turn.

Weights may then be stored in any form that a function restores, such as integers: one layer has its full precision at a
time, and of the embedding of tokens one block. So memory hardly grows beyond what is stored.
"""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
from jax import lax
from jax import numpy as jnp

from jaxmeta.models.layers import apply_mask, frame_mask
from jaxmeta.models.low_rank import merged
from jaxmeta.models.pretrained.blocks import LayerNorm
from jaxmeta.models.pretrained.whisper import (
    DecoderLayer,
    EncoderLayer,
    Whisper,
    WhisperConfig,
    whisper,
    whisper_encoder,
)
from jaxmeta.models.pretrained.whispers.greedy import fits, greedy_tokens
from jaxmeta.types import Array, Model, PyTree, Ragged

Change = Callable[[PyTree], PyTree]
"""Weights of a layer, or {"embedding": [D]} of a token, to the same in another form."""
_BLOCK = 4096
"""Tokens whose embeddings are restored at once."""


def stacked_whisper(config: WhisperConfig, restore: Change) -> Whisper:
    """The network of `whisper`, whose params are what `stack` makes of those.

    Args:
      config: of the network.
      restore: what was stored -> floats; traced for each layer, and once more for a token.
    Raises:
      As `whisper`.
    """
    front, layer = whisper_encoder(config, last=0), cast(Any, EncoderLayer(config))

    def encode(params: PyTree, speech: Ragged) -> Ragged:
        part = params["encoder"]
        first, _ = front.apply(part["front"], {}, speech, jax.random.key(0), False)
        mask = frame_mask(first.lengths, first.values.shape[1])[:, None, None]

        def step(values: Array, stored: PyTree) -> tuple[Array, None]:
            return layer.apply({"params": _layer(stored, restore)}, values, mask), None

        values = _norm(lax.scan(jax.checkpoint(step), first.values, part["layers"])[0], part)
        return Ragged(apply_mask(values, first.lengths), first.lengths)

    def decode(params: PyTree, memory: Ragged, tokens: Array) -> Array:
        fits(tokens.shape[1], config.max_target_positions, "tokens")
        decoder = _Decoder(config, params["decoder"], restore)
        mask = frame_mask(memory.lengths, memory.values.shape[1])[:, None, None]
        return decoder(tokens, decoder.crossed(memory.values), mask)[0]

    def greedy(params, memory, prompt, end, length, suppress=(), suppress_first=(), words=None):
        decoder = _Decoder(config, params["decoder"], restore)
        return greedy_tokens(config, decoder, memory, prompt, end, length, (suppress, suppress_first), words)

    def init(key, inputs):
        params, state = whisper(config).model.init(key, inputs)
        return stack(params, lambda weights: weights), state

    def apply(params, state, inputs, key, train):
        return decode(params, encode(params, inputs.speech), inputs.prefix), state

    return Whisper(Model(init, apply), encode, decode, greedy)


def stack(params: PyTree, store: Change) -> PyTree:
    """Params of `whisper` as those of `stacked_whisper`.

    Args:
      params: of `whisper`.
      store: applied to each layer's weights, and to {"embedding": [D]} of every token, before they are stacked. What
        lies before the layers stays as it is.
    """
    parts = {name: dict(part) for name, part in params.items()}
    for part in parts.values():
        names = sorted((name for name in part if name.startswith("layers_")), key=lambda name: int(name[7:]))
        part["layers"] = jax.tree.map(lambda *each: jnp.stack(each), *[store(part.pop(name)) for name in names])
    norm, layers = (parts["encoder"].pop(name) for name in ("layer_norm", "layers"))
    tokens = parts["decoder"].pop("embed_tokens")["embedding"]
    missing = -len(tokens) % math.ceil(len(tokens) / math.ceil(len(tokens) / _BLOCK))
    rows = jax.vmap(lambda row: store({"embedding": row}))(jnp.pad(tokens, ((0, missing), (0, 0))))
    encoder = {"front": parts["encoder"], "layers": layers, "layer_norm": norm}
    return {"encoder": encoder, "decoder": parts["decoder"] | {"tokens": rows}}


def with_stacked_adapters(params: PyTree, adapters: PyTree) -> PyTree:
    """Params of `stacked_whisper` with low-rank adapters beside the layers, as `low_rank` has them by their paths.

    A matrix that is adapted in some layers alone has adapters of zero in the others.
    Raises:
      ValueError: an adapter of something that is no layer's.
    """
    own: dict[str, dict[str, dict[int, PyTree]]] = {}
    for path, adapter in adapters.items():
        match = re.fullmatch(r"(encoder|decoder)/layers_(\d+)/(.+)", path)
        if match is None:
            raise ValueError(f"{path} is adapted, and is no matrix of a layer; use all bits of such a network.")
        own.setdefault(match[1], {}).setdefault(match[3], {})[int(match[2])] = adapter

    def beside(part: PyTree, matrices: dict[str, dict[int, PyTree]]) -> PyTree:
        count = len(jax.tree.leaves(part["layers"])[0])

        def stacked(layers: dict[int, PyTree]) -> PyTree:
            nothing = jax.tree.map(jnp.zeros_like, next(iter(layers.values())))
            return jax.tree.map(lambda *each: jnp.stack(each), *[layers.get(at, nothing) for at in range(count)])

        together = {path: stacked(layers) for path, layers in matrices.items()}
        return part | {"layers": {"weights": part["layers"], "adapters": together}}

    return {name: beside(part, own[name]) if name in own else part for name, part in params.items()}


class _Decoder(NamedTuple):
    """Called as the decoder of `whisper` is."""

    config: WhisperConfig
    params: PyTree
    restore: Change

    def crossed(self, memory: Array) -> tuple[Array, Array]:
        """Keys and values of the encoder's frames, [layers, N, T, H, D / H]."""
        layer: Any = DecoderLayer(self.config)

        def of_layer(stored: PyTree) -> tuple[Array, Array]:
            weights = {"params": _layer(stored, self.restore)}
            return layer.apply(weights, memory, method="crossed")

        return lax.map(jax.checkpoint(of_layer), self.params["layers"])

    def __call__(self, tokens: Array, crossed: PyTree, mask: Array, position: Any = 0, caches: Any = None):
        layer = DecoderLayer(self.config)

        def step(values: Array, each: PyTree):
            stored, seen, cache = each
            return layer.apply({"params": _layer(stored, self.restore)}, values, seen, mask, position, cache)

        positions = self.params["embed_positions"]["embedding"]
        dtype = crossed[0].dtype
        values = self._embedded(tokens).astype(dtype)
        values += lax.dynamic_slice_in_dim(positions, position, tokens.shape[1]).astype(dtype)
        values, left = lax.scan(jax.checkpoint(step), values, (self.params["layers"], crossed, caches))
        return self._logits(_norm(values, self.params)), left

    def _embedded(self, tokens: Array) -> Array:
        rows = jax.tree.map(lambda leaf: leaf[tokens.ravel()], self.params["tokens"])
        return self._restored(rows).reshape(*tokens.shape, -1)

    def _logits(self, values: Array) -> Array:
        """[N, L, D] -> [N, L, C], a block of tokens at a time."""
        rows = self.params["tokens"]
        count = math.ceil(self.config.vocab_size / _BLOCK)
        blocks = jax.tree.map(lambda leaf: leaf.reshape(count, -1, *leaf.shape[1:]), rows)
        logits = lax.map(jax.checkpoint(lambda block: values @ self._restored(block).T), blocks)
        return jnp.moveaxis(logits, 0, 2).reshape(*values.shape[:2], -1)[..., : self.config.vocab_size]

    def _restored(self, rows: PyTree) -> Array:
        return jax.vmap(self.restore)(rows)["embedding"]


def _layer(stored: PyTree, restore: Change) -> PyTree:
    if "adapters" not in stored:
        return restore(stored)
    return merged({"weights": restore(stored["weights"]), "adapters": stored["adapters"]})


def _norm(values: Array, part: PyTree) -> Array:
    normalise: Any = LayerNorm(epsilon=1e-5)
    return normalise.apply({"params": part["layer_norm"]}, values)
