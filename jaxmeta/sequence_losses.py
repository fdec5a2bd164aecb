"""Losses of label sequences, (outputs, targets) -> [N]: with an alignment to frames to sum over, and without."""

import jax
import jax.numpy as jnp
import optax

from jaxmeta import alignments
from jaxmeta.types import Array, Loss, PyTree, Ragged


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
    Source: Graves et al. 2006, "Connectionist temporal classification", eq. 3. Forward mode alone is refused by JAX;
      forward mode of the gradient is not.
    """
    logits, labels = outputs.values, targets.values
    if logits.ndim != 3 or labels.ndim != 2 or logits.shape[0] != labels.shape[0] or 0 in logits.shape[1:]:
        raise ValueError(f"ctc needs logits [N, T, C] and labels [N, L], got {logits.shape} and {labels.shape}.")
    _check_rows("ctc logits", outputs)
    _check_labels("ctc", targets)
    frames, real = _within(outputs), _within(targets)
    dtype = jnp.promote_types(logits.dtype, jnp.float32)
    # Replaced before any arithmetic: a padded NaN times 0 would be NaN, in the gradient too.
    scores = jax.nn.log_softmax(jnp.where(frames[..., None], logits, 0).astype(dtype))
    values = _summed_over_alignments(scores, jnp.where(real, labels, 0), frames, real)
    known = jnp.all(~real | ((labels > 0) & (labels < logits.shape[-1])), axis=1)
    return jnp.where(known, values, jnp.nan).astype(dtype)


def _summed_over_alignments(scores: Array, labels: Array, frames: Array, real: Array) -> Array:
    """Of log-probabilities [N, T, C]: blanks and labels in turn are the states of a lattice, [N, 2 L + 1]."""
    rows, length = labels.shape
    states = jnp.zeros((rows, 2 * length + 1), labels.dtype).at[:, 1::2].set(labels)
    # A product, whose derivatives are products: a gather's would be scattered.
    chosen = jax.nn.one_hot(states, scores.shape[-1], dtype=scores.dtype)
    lattice = jnp.einsum("ntc,nsc->tns", scores, chosen, precision=jax.lax.Precision.HIGHEST)
    # From a label to the next without a blank between, unless they are the same.
    differs = jnp.pad(labels[:, 1:] != labels[:, :-1], ((0, 0), (1, 0)))
    skips = jnp.zeros(states.shape, bool).at[:, 3::2].set(differs[:, 1:])
    last = 2 * real.sum(1, keepdims=True)
    place = jnp.arange(states.shape[1])
    ends = jnp.where((place == last) | (place == last - 1), 0, alignments.NEVER).astype(scores.dtype)
    return alignments.negative_log_likelihood(lattice, skips, jnp.swapaxes(frames, 0, 1)[..., None], ends)


def ctc_feasible(frames: Array, targets: Ragged) -> Array:
    """Where at least one alignment exists: as many frames as labels and repetitions, which need a blank between.

    Args:
      frames: frames of each row, [N] integer.
      targets: labels [N, L].
    Returns:
      [N] bool; to train on the other rows, give `ctc` more frames or the rows weight 0.

    >>> ctc_feasible(np.array([2, 3]), Ragged(np.array([[5, 5], [5, 5]]), np.array([2, 2]))).tolist()
    [False, True]
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

    >>> targets = Ragged(np.array([[1, 2, 0]]), np.array([2]))
    >>> print(np.asarray(sequence_cross_entropy(np.zeros((1, 3, 4)), targets)).round(3))
    [2.773]
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


def smoothed_cross_entropy(share: float) -> Loss:
    """`sequence_cross_entropy` with a share of each target spread evenly over all classes.

    Args:
      share: in [0, 1); 0 is the cross-entropy itself.
    Raises:
      ValueError: another share.
    Source: Szegedy et al. 2016, "Rethinking the Inception architecture", section 7 (label smoothing).

    >>> targets = Ragged(np.array([[1]]), np.array([1]))
    >>> print(np.asarray(smoothed_cross_entropy(0.5)(np.log([[[0.25, 0.75]]]), targets), np.float64).round(3))
    [0.562]
    """
    if not 0 <= share < 1:
        raise ValueError(f"share={share} must lie in [0, 1).")

    def loss(outputs: Array, targets: Ragged) -> Array:
        plain = sequence_cross_entropy(outputs, targets)
        if not share:
            return plain
        real = _within(targets)
        logits = jnp.where(real[..., None], outputs, 0)
        # The mean of minus the log-probabilities, without an array of them.
        each = jax.nn.logsumexp(logits, axis=-1) - jnp.mean(logits, axis=-1)
        return (1 - share) * plain + share * jnp.sum(jnp.where(real, each, 0), axis=1)

    return loss


def per_label(loss: Loss) -> Loss:
    """A loss of label sequences in nats a label, so that long utterances weigh no more than short ones.

    Args:
      loss: (outputs, Ragged labels) -> [N], such as `ctc`; that of an empty row is left as it is.

    >>> loss = per_label(sequence_cross_entropy)
    >>> print(loss(np.zeros((1, 3, 4)), Ragged(np.array([[1, 2, 0]]), np.array([2]))).round(3))
    [1.386]
    """
    return lambda outputs, targets: loss(outputs, targets) / jnp.maximum(targets.lengths, 1)


def confidence(weight: float = 0.3, temperature: float = 2.5) -> Loss:
    """How unsure a recogniser is of its output: a loss without labels, for adaptation at test time.

    weight times the mean entropy, in nats, of the frames whose likeliest class is not the blank, plus 1 - weight times
    the mean share of each class's probability that goes with other classes in the same frames.
    Args:
      weight: of the entropy, in [0, 1].
      temperature: that softens the logits first, above 0.
    Returns:
      Loss of Ragged logits [N, T, C] with class 0 the blank; targets are not looked at. A row without frames gives 0.
    Raises:
      ValueError: an argument out of its range.
    Source: Lin, Li and Lee 2022 (arXiv 2203.14222), eq. 1 to 5 (SUTA). Differs: softened in both terms, each class
      weighs alike whether it occurs or not.
    """
    if not 0 <= weight <= 1 or not temperature > 0:
        raise ValueError(f"confidence needs weight in [0, 1] and temperature above 0, got {weight} and {temperature}.")

    def loss(outputs: Ragged, targets: PyTree) -> Array:
        frames = _within(outputs)
        logits = jnp.where(frames[..., None], outputs.values, 0)
        logs = jax.nn.log_softmax(logits / temperature)
        shares = jnp.where(frames[..., None], jnp.exp(logs), 0)
        spoken = frames & (jnp.argmax(logits, axis=-1) != 0)
        entropy = jnp.where(spoken, -jnp.sum(shares * logs, axis=-1), 0).sum(1) / jnp.maximum(spoken.sum(1), 1)
        together = jnp.einsum("ntc,ntd->ncd", shares, shares)
        mass = shares.sum(1)  # of each class; the sums over d of `together`
        own = jnp.diagonal(together, axis1=1, axis2=2) / jnp.where(mass > 0, mass, 1)
        confusion = jnp.where(mass > 0, 1 - own, 0).mean(1)
        return weight * entropy + (1 - weight) * confusion

    return loss


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
