"""Decoding of models that predict each label from those before it: greedily, or keeping several hypotheses.

There is no cache of earlier positions: each step scores whole prefixes, which is simple, and affordable for short
utterances. Everything is jittable, with one compilation for each shape.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmeta.types import Array, Ragged

Score = Callable[[Array], Array]
"""Prefixes [M, P] int32, each 0 (the start) and labels -> log-probabilities [M, P, C] of what follows each position.

Position p sees prefix[:, :p + 1] only; class 0 ends the sentence.
"""


class NBest(NamedTuple):
    """The `beam` best hypotheses of each row, best first."""

    labels: Array
    """[N, beam, L] int32 in [1, C), 0 beyond a hypothesis's length."""
    lengths: Array
    """[N, beam] int32."""
    scores: Array
    """[N, beam], in nats; -inf where a row has fewer hypotheses."""


def attention_greedy(score: Score, rows: int, longest: int) -> tuple[Ragged, Array]:
    """Take the likeliest class at each step until it is 0; `attention_beam` with one hypothesis.

    Args:
      score: as in `attention_beam`, for [rows, longest + 1] prefixes.
    Returns:
      Labels [N, longest] int32, 0 beyond a row's length, and log-probabilities [N] of labels and end, in nats.
    """
    return best(attention_beam(score, rows, longest, 1))


def attention_beam(score: Score, rows: int, longest: int, beam: int, length_bonus: float = 0.0) -> NBest:
    """Search for the likeliest label sequences, keeping `beam` hypotheses of each row after each step.

    A hypothesis's score is the log-probability of its labels and its end, plus the bonus. At most `longest` labels are
    read; a hypothesis that is not over then is scored as if it ended there.

    Args:
      score: function of prefixes [rows * beam, longest + 1]: those of row n are n * beam to (n + 1) * beam - 1, so that
        what it reads of the rows must be repeated alike, as by jnp.repeat(encoded, beam, axis=0).
      rows: N.
      longest: most labels of a hypothesis, 1 or more.
      beam: hypotheses kept for each row, 1 or more.
      length_bonus: nats for each label, against the liking for short sentences that a sum of logarithms has.
    Raises:
      ValueError: at trace time, numbers out of range or a score of another shape.
    Source: Sutskever et al. 2014, "Sequence to sequence learning with neural networks", section 3.2.
    """
    dtype = _check(score, rows, longest, beam)
    first = jnp.where(jnp.arange(beam) == 0, 0.0, -jnp.inf).astype(dtype)  # All start alike: one of them is enough.
    start = _Search(
        jnp.int32(0),
        jnp.zeros((rows, beam, longest + 1), jnp.int32),
        jnp.zeros((rows, beam), bool),
        jnp.broadcast_to(first, (rows, beam)),
    )

    def alive(search: _Search) -> Array:
        return (search.position <= longest) & jnp.any(~search.ended & (search.scores > -jnp.inf))

    last = jax.lax.while_loop(alive, functools.partial(_extend, score, length_bonus), start)
    labels = jnp.where(jnp.isfinite(last.scores)[..., None], last.prefix[..., 1:], 0)
    return NBest(labels, jnp.sum(labels != 0, axis=-1, dtype=jnp.int32), last.scores)


def joint_scores(nbest: NBest, ctc: Callable[[Ragged], Array], weight: float) -> NBest:
    """Order the hypotheses anew, by (1 - weight) * their score + weight * their log-likelihood under CTC.

    Args:
      nbest: of N rows.
      ctc: labels [N * beam, L], in the order of `attention_beam`'s prefixes -> log-likelihoods [N * beam], in nats.
      weight: in [0, 1]; 0 keeps the order.
    Raises:
      ValueError: weight out of range, or likelihoods of another shape.
    Source: Hori et al. 2017, "Joint CTC/attention decoding for end-to-end speech recognition", section 3.2 (rescoring).
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight={weight} is out of range; give the share of CTC in [0, 1].")
    rows, beam, longest = nbest.labels.shape
    likelihoods = ctc(Ragged(nbest.labels.reshape(rows * beam, longest), nbest.lengths.reshape(rows * beam)))
    if likelihoods.shape != (rows * beam,):
        raise ValueError(f"ctc must return one log-likelihood a hypothesis, [{rows * beam}], got {likelihoods.shape}.")
    # At 0 an impossible hypothesis, of -inf, would be NaN.
    share = weight * likelihoods.reshape(rows, beam) if weight else 0.0
    joint = (1 - weight) * nbest.scores + share
    # A hypothesis that does not exist stays last, whatever CTC makes of its empty labels.
    joint = jnp.where(nbest.scores > -jnp.inf, joint, -jnp.inf)
    order = jnp.argsort(joint, axis=1, descending=True, stable=True)
    return NBest(
        jnp.take_along_axis(nbest.labels, order[..., None], axis=1),
        jnp.take_along_axis(nbest.lengths, order, axis=1),
        jnp.take_along_axis(joint, order, axis=1),
    )


def best(nbest: NBest) -> tuple[Ragged, Array]:
    """The first hypothesis of each row: labels [N, L], and scores [N]."""
    return Ragged(nbest.labels[:, 0], nbest.lengths[:, 0]), nbest.scores[:, 0]


class _Search(NamedTuple):
    position: Array
    """Labels read so far."""
    prefix: Array
    """[N, beam, longest + 1]: 0, then labels; 0 beyond the end."""
    ended: Array
    """[N, beam] bool."""
    scores: Array
    """[N, beam]."""


def _extend(score: Score, length_bonus: float, search: _Search) -> _Search:
    """Read one more label, or the end, and keep the best hypotheses of each row."""
    position, prefix, ended, scores = search
    rows, beam, size = prefix.shape
    log_p = score(prefix.reshape(rows * beam, size)).astype(scores.dtype)
    log_p = jax.lax.dynamic_index_in_dim(log_p, position, axis=1, keepdims=False).reshape(rows, beam, -1)
    classes = log_p.shape[-1]
    end = jnp.arange(classes) == 0
    log_p = jnp.where(end, log_p, jnp.where(position == size - 1, -jnp.inf, log_p + length_bonus))
    # Over is over: one continuation, which costs nothing.
    log_p = jnp.where(ended[..., None], jnp.where(end, 0.0, -jnp.inf), log_p)
    scores, chosen = jax.lax.top_k((scores[..., None] + log_p).reshape(rows, beam * classes), beam)
    parent, label = chosen // classes, chosen % classes
    prefix = jnp.take_along_axis(prefix, parent[..., None], axis=1)
    # Nothing is written after the last step, whose labels are all ends.
    prefix = jnp.where(jnp.arange(size) == position + 1, label[..., None], prefix)
    return _Search(position + 1, prefix, label == 0, scores)


def _check(score: Score, rows: int, longest: int, beam: int) -> jnp.dtype:
    """The type to add log-probabilities in: float32 or better."""
    if min(rows, longest, beam) < 1:
        raise ValueError(f"rows={rows}, longest={longest}, beam={beam}: give numbers of 1 or more.")
    prefixes = (rows * beam, longest + 1)
    scores = jax.eval_shape(score, jax.ShapeDtypeStruct(prefixes, jnp.int32))
    if len(scores.shape) != 3 or scores.shape[:2] != prefixes or scores.shape[2] < 2:
        raise ValueError(
            f"score must map prefixes {list(prefixes)} to log-probabilities {[*prefixes, 'C']}, C of 2 or more, got "
            f"{list(scores.shape)}; is each row repeated for its {beam} hypotheses?"
        )
    return jnp.promote_types(scores.dtype, jnp.float32)
