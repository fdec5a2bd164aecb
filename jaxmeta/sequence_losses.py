"""Losses of label sequences, (outputs, targets) -> [N]: with an alignment to frames to sum over, and without."""

import jax.numpy as jnp
import optax

from jaxmeta.types import Array, Ragged


def ctc(outputs: Ragged, targets: Ragged) -> Array:
    """Negative log-likelihood of each row's labels, summed over their alignments to its frames, in nats.

    A row that no alignment fits (see `ctc_feasible`) gets about 1e5 with gradients that are finite and mean nothing:
    give it weight 0. A label outside [1, C) makes its row NaN. Logits must be finite: to forbid a class use -1e9.
    Differentiable twice, so that meta-gradients through it are exact. Computed in float32, or float64 for such logits.

    Args:
      outputs: logits [N, T, C] of 0, the blank, and C - 1 labels; frames beyond a row's length are inert.
      targets: integer labels [N, L], in [1, C); what lies beyond a row's length is inert.
    Raises:
      ValueError: at trace time, shapes or types other than these.
    Source: Graves et al. 2006, "Connectionist temporal classification", eq. 3.
    """
    logits, labels = outputs.values, targets.values
    if logits.ndim != 3 or labels.ndim != 2 or logits.shape[0] != labels.shape[0] or 0 in logits.shape[1:]:
        raise ValueError(f"ctc needs logits [N, T, C] and labels [N, L], got {logits.shape} and {labels.shape}.")
    _check_rows("ctc logits", outputs)
    _check_labels("ctc", targets)
    frames, real = _within(outputs), _within(targets)
    dtype = jnp.promote_types(logits.dtype, jnp.float32)
    # Replaced before any arithmetic: a padded NaN times 0 would be NaN, in the gradient too.
    values = optax.ctc_loss(
        jnp.where(frames[..., None], logits, 0).astype(dtype),
        (~frames).astype(dtype),
        jnp.where(real, labels, 0),
        (~real).astype(dtype),
        blank_id=0,
    )
    known = jnp.all(~real | ((labels > 0) & (labels < logits.shape[-1])), axis=1)
    return jnp.where(known, values, jnp.nan).astype(dtype)


def ctc_feasible(frames: Array, targets: Ragged) -> Array:
    """Where at least one alignment exists: as many frames as labels and repetitions, which need a blank between.

    Args:
      frames: frames of each row, [N] integer.
      targets: labels [N, L].
    Returns:
      [N] bool; to train on the other rows, give `ctc` more frames or the rows weight 0.
    """
    if frames.shape != targets.values.shape[:1]:
        raise ValueError(
            f"ctc_feasible needs frames [N] and labels [N, L], got {frames.shape}, {targets.values.shape}."
        )
    _check_labels("ctc_feasible", targets)
    repeats = (targets.values[:, 1:] == targets.values[:, :-1]) & _within(targets)[:, 1:]
    return frames >= targets.lengths + repeats.sum(axis=1)


def sequence_cross_entropy(outputs: Array, targets: Ragged) -> Array:
    """Negative log-likelihood of each row's labels, in nats, summed over the row as `ctc` is; 0 for an empty row.

    Args:
      outputs: logits [N, L, C], one for each label; those beyond a row's length are inert.
      targets: integer labels [N, L], in [0, C); what lies beyond a row's length is inert.
    Raises:
      ValueError: at trace time, shapes or types other than these.
    """
    if outputs.ndim != 3 or outputs.shape[:2] != targets.values.shape:
        raise ValueError(
            f"sequence_cross_entropy needs outputs [N, L, C] and labels [N, L], got {outputs.shape} and "
            f"{targets.values.shape}."
        )
    _check_labels("sequence_cross_entropy", targets)
    real = _within(targets)
    each = optax.softmax_cross_entropy_with_integer_labels(
        jnp.where(real[..., None], outputs, 0), jnp.where(real, targets.values, 0)
    )
    return jnp.sum(jnp.where(real, each, 0), axis=1)


def _within(ragged: Ragged) -> Array:
    """[N, T] bool: the position lies within its row's length."""
    return jnp.arange(ragged.values.shape[1]) < ragged.lengths[:, None]


def _check_labels(name: str, targets: Ragged) -> None:
    if targets.values.ndim != 2 or not jnp.issubdtype(targets.values.dtype, jnp.integer):
        raise ValueError(f"{name} needs integer labels [N, L], got {targets.values.dtype}{list(targets.values.shape)}.")
    _check_rows(f"{name} labels", targets)


def _check_rows(name: str, ragged: Ragged) -> None:
    if ragged.lengths.shape != ragged.values.shape[:1]:
        raise ValueError(f"{name} {ragged.values.shape} need lengths [N], got {ragged.lengths.shape}.")
