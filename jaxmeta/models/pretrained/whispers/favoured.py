"""Words that a Whisper's decoder favours: at each token, those that start or go on with such a word get a bonus.

Shallow fusion with a prefix tree of words, as in Zhao et al. 2019, "Shallow-fusion end-to-end contextual
biasing". Differs: search is greedy, so that the bonus of a word that is begun and not ended is taken back by going
back to where it was begun.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from jaxmeta.types import Array

APART = 10
"""Tokens after the first one of a word for which the bonus does not start it again, so that it is not repeated."""


class Favoured(NamedTuple):
    """A prefix tree of token sequences by its E edges, which lead from node to node; node 0 is the root."""

    parents: Array
    """[E] int32."""
    tokens: Array
    """[E] int32, the token of each edge."""
    children: Array
    """[E] int32."""
    heads: Array
    """[E + 1] int32, the node after the first token of what leads to each node; 0 for the root."""
    ends: Array
    """[E + 1] bool, whether a word ends at each node."""
    bonus: Array
    """Scalar, in nats, added to the logits of tokens on an edge from the node that was reached, or from the root."""


class Track(NamedTuple):
    """Where N transcripts stood in the tree after each of L places, of which the first holds no word."""

    nodes: Array
    """[N, L] int32."""
    begun: Array
    """[N, L] int32, the place of the first token that the bonus chose, of a word that is not over; 0: none."""
    barred: Array
    """[N, L] bool, places where there is no bonus, for one was taken back."""


def favoured(sequences: Iterable[Sequence[int]], bonus: float) -> Favoured:
    """The prefix tree of token sequences.

    Args:
      sequences: tokens of each word; one that is empty adds nothing.
      bonus: in nats, 0 or more.

    >>> favoured([[7, 8], [7, 9]], 2.0).parents.tolist()
    [0, 1, 1]
    """
    edges: dict[tuple[int, int], int] = {}
    heads, ends = [0], set()
    for sequence in sequences:
        node = 0
        for token in sequence:
            edge = (node, int(token))
            if edge not in edges:
                edges[edge] = len(heads)
                heads.append(heads[node] or len(heads))
            node = edges[edge]
        ends.add(node)
    parents, tokens = np.array([*edges], np.int32).reshape(-1, 2).T
    children = np.array([*edges.values()], np.int32)
    last = np.array([node in ends for node in range(len(heads))]) & (np.arange(len(heads)) > 0)
    return Favoured(*map(jnp.asarray, (parents, tokens, children, np.array(heads, np.int32), last, np.float32(bonus))))


def new_track(rows: int, places: int) -> Track:
    """Of transcripts that have not begun."""
    zeros = jnp.zeros((rows, places), jnp.int32)
    return Track(zeros, zeros, zeros.astype(bool))


def choose(words: Favoured, track: Track, scores: Array, place: Array, end: int) -> tuple[Array, Track, Array]:
    """The likeliest tokens with the bonus, the track with them, and the place to go on at.

    A word that the bonus began, or went on with, and that is not ended, has no bonus after all: search goes back to
    that place for all rows, where those that are on their way otherwise write what they wrote.
    Args:
      words: that are favoured.
      track: up to the place.
      scores: logits [N, C], -inf for what is not written.
      place: of the tokens, 1 or more.
      end: token that ends a transcript; where it is the likeliest there is no bonus.
    """
    node, begun = track.nodes[:, place - 1], track.begun[:, place - 1]
    usual, biased = jnp.argmax(scores, axis=-1), jnp.argmax(add_bonus(words, track, scores, place), axis=-1)
    token = jnp.where(track.barred[:, place] | (usual == end), usual, biased)
    further, fresh = (_reached(words, from_, token) for from_ in (node, jnp.zeros_like(node)))
    reached = jnp.where(further > 0, further, fresh)
    since = jnp.where((begun > 0) & (further > 0), begun, jnp.where(token == usual, 0, place))
    left = (begun > 0) & (further == 0)
    barred = track.barred | (left[:, None] & (jnp.arange(track.nodes.shape[1]) == begun[:, None]))
    nodes = track.nodes.at[:, place].set(reached)
    track = Track(nodes, track.begun.at[:, place].set(jnp.where(words.ends[reached], 0, since)), barred)
    return token, track, jnp.min(jnp.where(left, begun, place + 1))


def add_bonus(words: Favoured, track: Track, scores: Array, place: Array) -> Array:
    """Scores [N, C] with the bonus on what goes on with a word, or starts one that was not begun a short while ago."""
    rows, places = jnp.arange(len(scores))[:, None], jnp.arange(track.nodes.shape[1])
    near = (places < place) & (places >= place - APART)
    recent = jnp.zeros((len(scores), len(words.heads)), bool).at[rows, words.heads[track.nodes]].max(near)
    on = _from(words, track.nodes[:, place - 1])
    allowed = jnp.where(words.parents == 0, ~recent[:, words.children], on)
    more = jnp.where(allowed, words.bonus, 0).astype(scores.dtype)
    return scores + jnp.zeros_like(scores).at[:, words.tokens].max(more)


def _reached(words: Favoured, nodes: Array, tokens: Array) -> Array:
    """The nodes [N] that tokens [N] lead to from nodes [N]; 0 where there is no such edge."""
    taken = _from(words, nodes) & (words.tokens == tokens[:, None])
    return jnp.max(jnp.where(taken, words.children, 0), axis=1, initial=0).astype(jnp.int32)


def _from(words: Favoured, nodes: Array) -> Array:
    """[N, E] whether an edge leads on from the node of each row."""
    return words.parents == jax.lax.expand_dims(nodes, (1,))
