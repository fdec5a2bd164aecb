"""Greedy decoding by a Whisper: the likeliest token after each, until all transcripts have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
from jax import lax
from jax import numpy as jnp

from jaxmeta.models.layers import frame_mask
from jaxmeta.models.pretrained.whispers.favoured import Favoured, Track, choose, new_track
from jaxmeta.types import Array, Ragged

if TYPE_CHECKING:
    from jaxmeta.models.pretrained.whisper import WhisperConfig


class _Search(NamedTuple):
    place: Array
    """Of the token to be written next, for all rows."""
    tokens: Array
    """[N, L], the prompt and what was written; the end beyond that."""
    caches: Any
    """Keys and values of the places before."""
    track: Track | None
    """In the tree of favoured words."""


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
    rows, before, places = len(memory.values), len(prompt), len(prompt) + length
    fits(places, config.max_target_positions, "tokens")
    mask = frame_mask(memory.lengths, memory.values.shape[1])[:, None, None]
    crossed = decoder.crossed(memory.values)
    caches = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-3], places, *leaf.shape[-2:]), leaf.dtype), crossed)
    never = jnp.zeros(config.vocab_size, bool).at[jnp.array(suppress[0], int)].set(True)
    first = never.at[jnp.array(suppress[1], int)].set(True)

    def going(search: _Search) -> Array:
        return (search.place < places) & jnp.any(search.tokens[:, search.place - 1] != end)

    def write(search: _Search) -> _Search:
        place, tokens, caches, track = search
        read = tokens[:, place - 1]
        logits, caches = decoder(read[:, None], crossed, mask, place - 1, caches)
        scores = jnp.where(jnp.where(place == before, first, never), -jnp.inf, logits[:, -1])
        # Over is over.
        scores = jnp.where((read == end)[:, None] & (jnp.arange(scores.shape[-1]) != end), -jnp.inf, scores)
        if words is None or track is None:
            token, following = jnp.argmax(scores, axis=-1), place + 1
        else:
            token, track, following = choose(words, track, scores, place, end)
        return _Search(following, tokens.at[:, place].set(token.astype(jnp.int32)), caches, track)

    tokens = jnp.full((rows, places), end, jnp.int32).at[:, :before].set(jnp.asarray(prompt, jnp.int32))
    _, caches = decoder(tokens[:, :before], crossed, mask, 0, caches)
    track = None if words is None else new_track(rows, places)
    written = lax.while_loop(going, write, _Search(jnp.int32(before), tokens, caches, track)).tokens[:, before:]
    # What lies beyond the end was taken back.
    lengths = jnp.sum(jnp.cumsum(written == end, axis=1) == 0, axis=1, dtype=jnp.int32)
    return Ragged(jnp.where(frame_mask(lengths, length), written, end), lengths)


def fits(count: int, most: int, what: str) -> None:
    """Raises ValueError for more frames or tokens than a Whisper has positions for."""
    if count > most:
        raise ValueError(f"this Whisper has positions for {most} {what}, got {count}; cut the recordings into pieces.")
