"""Greedy decoding by a Whisper: the likeliest token after each, until all transcripts have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
from jax import lax
from jax import numpy as jnp

from jaxmeta.models.layers import frame_mask
from jaxmeta.models.pretrained.whispers.favoured import Favoured, add_bonus, favoured, next_nodes
from jaxmeta.types import Array, Ragged

if TYPE_CHECKING:
    from jaxmeta.models.pretrained.whisper import WhisperConfig


def greedy_tokens(
    config: WhisperConfig,
    decoder: Any,
    memory: Ragged,
    prompt: Array,
    end: int,
    length: int,
    suppress: tuple[Sequence[int], Sequence[int]],
    words: Favoured | None = None,
) -> Ragged:
    """What `Whisper.greedy` gives, by a decoder that is called as `_Decoder` is."""
    rows, places = len(memory.values), len(prompt) + length
    fits(places, config.max_target_positions, "tokens")
    mask = frame_mask(memory.lengths, memory.values.shape[1])[:, None, None]
    crossed = decoder.crossed(memory.values)
    caches = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-3], places, *leaf.shape[-2:]), leaf.dtype), crossed)
    never = jnp.zeros(config.vocab_size, bool).at[jnp.array(suppress[0], int)].set(True)

    tree = favoured([], 0) if words is None else words

    def likeliest(logits, forbidden, nodes):
        scores = logits[:, -1] if words is None else add_bonus(tree, logits[:, -1], nodes)
        token = jnp.argmax(jnp.where(forbidden, -jnp.inf, scores), axis=-1).astype(jnp.int32)
        return token, next_nodes(tree, nodes, token)

    tokens = jnp.broadcast_to(jnp.asarray(prompt, jnp.int32), (rows, len(prompt)))
    logits, caches = decoder(tokens, crossed, mask, 0, caches)
    first = never.at[jnp.array(suppress[1], int)].set(True)
    start, nodes = likeliest(logits, first, jnp.zeros(rows, jnp.int32))

    def going(carry):
        step, token, *_ = carry
        return (step < length) & jnp.any(token != end)

    def write(carry):
        step, token, nodes, written, caches = carry
        written = written.at[:, step].set(token)
        logits, caches = decoder(token[:, None], crossed, mask, len(prompt) + step, caches)
        following, nodes = likeliest(logits, never, nodes)
        return step + 1, jnp.where(token == end, end, following), nodes, written, caches

    empty = jnp.full((rows, length), end, jnp.int32)
    written = lax.while_loop(going, write, (jnp.zeros((), jnp.int32), start, nodes, empty, caches))[3]
    return Ragged(written, jnp.sum(written != end, axis=1, dtype=jnp.int32))


def fits(count: int, most: int, what: str) -> None:
    """Raises ValueError for more frames or tokens than a Whisper has positions for."""
    if count > most:
        raise ValueError(f"this Whisper has positions for {most} {what}, got {count}; cut the recordings into pieces.")
