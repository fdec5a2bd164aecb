"""Confidence intervals of error rates, by drawing speakers, not utterances, again and again.

Utterances of one speaker go wrong together, so that intervals over utterances are too narrow.
"""

from collections.abc import Sequence

import numpy as np

from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.metrics import Interval, percentile_interval


def bootstrap_rate(
    edits: Edits, groups: Sequence[str], *, resamples: int = 10_000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """The error rate in percent, and its percentile interval over resamples of the groups.

    Args:
      edits: of R rows.
      groups: R names, such as the speakers; each resample draws as many groups as there are, with replacement.
      resamples: how often to draw.
      seed: of the draws; the same seed draws the same groups.
      confidence: coverage in (0, 1).
    Raises:
      ValueError: fewer than two groups, one without any reference, or arguments out of range.
    Source: Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation", eq. 4 to
      6. Differs: what is drawn are speakers.

    >>> edits = Edits(np.array([0, 2]), np.array([0, 0]), np.array([0, 0]), np.array([4, 4]))
    >>> bootstrap_rate(edits, ["anna", "ben"]).value
    25.0
    """
    rates = _resampled_rates([edits], groups, resamples, seed)[0]
    return percentile_interval(error_rate(edits), rates, confidence)


def paired_difference(
    first: Edits,
    second: Edits,
    groups: Sequence[str],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """The error rate of the second system less that of the first, in percentage points; below 0 the second is better.

    Both systems are scored on the same draws, so what makes a speaker hard for both cancels. Arguments as in
    `bootstrap_rate`.

    Raises:
      ValueError: as there, or the two were not scored against the same references.
    """
    _check_paired(first, second)
    rates = _resampled_rates([first, second], groups, resamples, seed)
    return percentile_interval(error_rate(second) - error_rate(first), rates[1] - rates[0], confidence)


def paired_relative(
    first: Edits,
    second: Edits,
    groups: Sequence[str],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """The part of the first system's errors that the second one avoids, in percent; 0 where they err alike.

    Arguments as in `paired_difference`.

    Raises:
      ValueError: as there, or the first system makes no error in one of the resamples.
    """
    _check_paired(first, second)
    rates = _resampled_rates([first, second], groups, resamples, seed)
    if not rates[0].all():
        raise ValueError(
            "first makes no error in some resamples, so nothing is relative to it; use paired_difference(), or more "
            "groups with errors."
        )
    return percentile_interval(
        100.0 * (1.0 - error_rate(second) / error_rate(first)), 100.0 * (1.0 - rates[1] / rates[0]), confidence
    )


def _check_paired(first: Edits, second: Edits) -> None:
    if not np.array_equal(first.reference, second.reference):
        raise ValueError("first and second must be scored against the same references, row by row; theirs differ.")


def _resampled_rates(systems: list[Edits], groups: Sequence[str], resamples: int, seed: int) -> np.ndarray:
    """Error rates in percent, [systems, resamples]."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    rows = systems[0].reference.shape
    if index.shape != rows:
        raise ValueError(f"groups needs one name for each of {rows[0]} rows, got {len(groups)}.")
    if len(names) < 2:
        raise ValueError(f"groups has {len(names)} distinct name(s); resampling needs two groups at least.")
    if resamples < 1:
        raise ValueError(f"resamples={resamples} is out of range; draw at least once, better 10,000 times.")
    reference = np.bincount(index, systems[0].reference)
    if not reference.all():
        raise ValueError(
            f"groups: {str(names[reference == 0][0])!r} has no reference to divide by; leave its rows out, or merge it."
        )
    # How often each group is drawn: the same numbers as drawing one by one, in one call.
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    errors = np.stack([np.bincount(index, edits.errors) for edits in systems])
    return 100.0 * (errors @ draws.T) / (reference @ draws.T)
