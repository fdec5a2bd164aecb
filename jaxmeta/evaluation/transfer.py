"""Forward and backward transfer between languages, or other tasks, that are learnt one after another."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmeta.decoding.error_rate_intervals import paired_difference
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.training.report import plot_curves

Errors = Mapping[tuple[int, int], Edits]
"""(i, j) -> the edits of the test utterances of language j after learning language i."""


def backward_transfer(errors: np.ndarray) -> float:
    """Mean change of the languages learnt before the last one, from just after each was learnt to the end.

    >>> backward_transfer(np.array([[10.0, 90.0], [40.0, 30.0]]))
    -30.0

    Args:
      errors: [n, n], error rate of language j in column j after learning language i in row i, n of 2 or more; only
        the diagonal and the last row are read.
    Returns:
      In the unit of `errors`; below 0 is forgetting, 0 is none.
    Source: Lopez-Paz and Ranzato 2017, "Gradient episodic memory for continual learning", eq. 3. Differs: of errors
      and not of accuracies, so the difference is reversed to keep the sign.
    """
    errors = _square(errors)
    return float(np.mean(np.diagonal(errors)[:-1] - errors[-1, :-1]))


def forward_transfer(errors: np.ndarray, scratch: np.ndarray) -> float:
    """Mean advantage of languages after the first over learning each from scratch with the same budget.

    >>> forward_transfer(np.array([[10.0, 90.0], [40.0, 30.0]]), np.array([10.0, 45.0]))
    15.0

    Args:
      errors: as in `backward_transfer`; only the diagonal is read.
      scratch: [n], error rate of each language learnt alone from random weights.
    Returns:
      In the unit of `errors`; above 0 is better than from scratch.
    Source: Rusu et al. 2016, "Progressive neural networks", section 3 (transfer against a baseline of one column).
      Differs: a difference of errors and not a ratio of scores. Eq. 4 of Lopez-Paz and Ranzato is another quantity,
      of languages not learnt yet.
    """
    errors, scratch = _square(errors), np.asarray(scratch, float)
    if scratch.shape != errors.shape[:1]:
        raise ValueError(f"scratch must be [{len(errors)}], one error for each language, got {scratch.shape}.")
    return float(np.mean(scratch[1:] - np.diagonal(errors)[1:]))


def error_matrix(errors: Errors, count: int) -> np.ndarray:
    """Error rates in percent of `count` languages, [count, count]; NaN where nothing was recognised."""
    matrix = np.full((count, count), np.nan)
    for place, edits in errors.items():
        matrix[place] = error_rate(edits)
    return matrix


def matrix_rows(method: str, names: Sequence[str], errors: Errors) -> list[dict]:
    """A row for each language learnt, with the error rate of every language after it; None where there is none."""
    matrix = error_matrix(errors, len(names))
    return [
        {"method": method, "after": after}
        | {name: None if np.isnan(value) else float(value) for name, value in zip(names, row, strict=True)}
        for after, row in zip(names, matrix, strict=True)
    ]


def transfer_rows(
    method: str,
    names: Sequence[str],
    errors: Errors,
    scratch: Sequence[Edits],
    speakers: Sequence[Sequence[str]],
) -> list[dict]:
    """Forward and backward transfer of each language with 95 % intervals over speakers, and their means.

    Args:
      method: named in the rows.
      names: of n languages, in the order in which they are learnt.
      errors: the diagonal and the last row at least.
      scratch: edits of each language learnt alone.
      speakers: of the test utterances of each language.
    """
    last, rows = len(names) - 1, []
    for j, name in enumerate(names):
        row = {
            "method": method,
            "language": name,
            "scratch": error_rate(scratch[j]),
            "learnt": error_rate(errors[j, j]),
        }
        if j:
            row |= _named("forward", paired_difference(errors[j, j], scratch[j], speakers[j]))
        if j < last:
            row |= _named("backward", paired_difference(errors[last, j], errors[j, j], speakers[j]))
        rows.append(row)
    matrix, alone = error_matrix(errors, len(names)), np.array([error_rate(edits) for edits in scratch])
    mean = {
        "method": method, "language": "mean", "scratch": float(alone.mean()), "learnt": float(np.diag(matrix).mean()),
        "forward": forward_transfer(matrix, alone), "backward": backward_transfer(matrix),
    }  # fmt: skip
    return [*rows, mean]


def plot_matrices(path: Path, rows: Sequence[Mapping[str, Any]], ylabel: str) -> None:
    """Draw the mean error rate of the languages learnt so far as a PNG, a curve for each method.

    Args:
      path: of the picture.
      rows: of `matrix_rows`.
      ylabel: of the vertical axis, with its unit.
    """
    names, series = list(dict.fromkeys(row["after"] for row in rows)), {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = {row["after"]: row for row in rows if row["method"] == method}
        means = [float(np.mean([own[name][other] for other in names[: i + 1]])) for i, name in enumerate(names)]
        series[method] = (list(range(1, len(names) + 1)), means, None)
    label = f"languages learnt ({', '.join(names)})"
    plot_curves(path, series, label, f"{ylabel}, mean of these", "languages learnt one after another")


def _named(name: str, interval: tuple[float, float, float]) -> dict:
    return dict(zip((name, f"{name}_low", f"{name}_high"), map(float, interval), strict=True))


def _square(errors: np.ndarray) -> np.ndarray:
    errors = np.asarray(errors, float)
    if errors.ndim != 2 or errors.shape[0] != errors.shape[1] or len(errors) < 2:
        raise ValueError(f"errors must be [n, n] for n languages, n of 2 or more, got {errors.shape}.")
    return errors
