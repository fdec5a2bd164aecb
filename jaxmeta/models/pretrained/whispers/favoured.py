"""Words that a Whisper's decoder favours: at each token, those that start or go on with such a word get a bonus.

Shallow fusion with a prefix tree of words, as in Zhao et al. 2019, "Shallow-fusion end-to-end contextual
biasing". Differs: search is greedy, so that the bonus of a word that is begun and not ended is not taken back.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from jaxmeta.types import Array


class Favoured(NamedTuple):
    """A prefix tree of token sequences by its E edges, which lead from node to node; node 0 is the root."""

    parents: Array
    """[E] int32."""
    tokens: Array
    """[E] int32, the token of each edge."""
    children: Array
    """[E] int32."""
    bonus: Array
    """Scalar, in nats, added to the logits of tokens on an edge from the node that was reached, or from the root."""


def favoured(sequences: Iterable[Sequence[int]], bonus: float) -> Favoured:
    """The prefix tree of token sequences.

    Args:
      sequences: tokens of each word; one that is empty adds nothing.
      bonus: in nats, 0 or more.

    >>> favoured([[7, 8], [7, 9]], 2.0).parents.tolist()
    [0, 1, 1]
    """
    edges: dict[tuple[int, int], int] = {}
    for sequence in sequences:
        node = 0
        for token in sequence:
            node = edges.setdefault((node, int(token)), len(edges) + 1)
    pairs = np.array([*edges], np.int32).reshape(-1, 2)
    children = np.array([*edges.values()], np.int32)
    return Favoured(jnp.asarray(pairs[:, 0]), jnp.asarray(pairs[:, 1]), jnp.asarray(children), jnp.float32(bonus))


def add_bonus(words: Favoured, logits: Array, nodes: Array) -> Array:
    """Logits [N, C] with the bonus on what goes on with a word from the nodes [N], or starts one."""
    allowed = _from(words, nodes) | (words.parents == 0)
    more = jnp.where(allowed, words.bonus, 0).astype(logits.dtype)
    return logits + jnp.zeros_like(logits).at[:, words.tokens].max(more)


def next_nodes(words: Favoured, nodes: Array, tokens: Array) -> Array:
    """The nodes [N] after tokens [N] were written: further into a word, or into a new one, or back at the root."""
    same = words.tokens == tokens[:, None]

    def reached(edges: Array) -> Array:
        return jnp.max(jnp.where(edges & same, words.children, 0), axis=1, initial=0)

    further = reached(_from(words, nodes))
    return jnp.where(further > 0, further, reached(words.parents == jnp.zeros_like(nodes)[:, None])).astype(jnp.int32)


def _from(words: Favoured, nodes: Array) -> Array:
    """[N, E] whether an edge leads on from the node of each row."""
    return words.parents == jax.lax.expand_dims(nodes, (1,))
