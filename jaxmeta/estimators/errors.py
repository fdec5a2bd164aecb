"""How far an estimator's meta-gradients are from exact ones: direction, bias and noise, with intervals over tasks."""

from typing import NamedTuple

import numpy as np

from jaxmeta.metrics import Interval, percentile_interval

_RESAMPLES = 1_000


class Errors(NamedTuple):
    """Of the mean over tasks of an estimate, against the mean of the exact meta-gradients."""

    cosine: Interval
    """Of a single estimate to the exact meta-gradient, averaged over draws."""
    bias: Interval
    """Norm of what the expected estimate lacks, over the norm of the exact meta-gradient."""
    noise: Interval
    """Standard deviation over draws of the estimate, over the norm of the exact meta-gradient; 0 where none differ."""
    spread: Interval
    """Standard deviation over tasks of the expected estimate, over that of the exact meta-gradients."""


def estimator_errors(exact: np.ndarray, estimates: np.ndarray, seed: int = 0) -> Errors:
    """Bias and noise of an estimator on a batch of tasks.

    Squared norms of means over draws hold what the draws vary by; that is subtracted, so that noise is no bias.

    Args:
      exact: meta-gradient of each task, [B, W] in float64, B of 2 or more.
      estimates: [S, B, W], of S draws of what the estimator draws; S is 1 where it draws nothing.
      seed: of the resamples of tasks, between whose percentiles intervals of 95 % lie.
    Raises:
      ValueError: shapes that do not fit, or fewer than two tasks.

    >>> bias = estimator_errors(np.eye(2), 0.75 * np.eye(2)[None]).bias
    >>> round(bias.value, 3)
    0.25
    """
    if exact.ndim != 2 or len(exact) < 2 or estimates.ndim != 3 or estimates.shape[1:] != exact.shape:
        raise ValueError(
            f"exact [B, W] with B of 2 or more and estimates [S, B, W] are needed, got {exact.shape} and "
            f"{estimates.shape}."
        )
    products = _products(exact, estimates)
    tasks = len(exact)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(tasks, np.full(tasks, 1 / tasks), _RESAMPLES)
    whole = _figures(products, np.full((1, tasks), 1 / tasks))
    # A resample of one task alone has no spread to compare.
    resampled = _figures(products, drawn[(drawn > 0).sum(1) > 1] / tasks)
    return Errors(*(percentile_interval(float(value[0]), each) for value, each in zip(whole, resampled, strict=True)))


class _Products(NamedTuple):
    """Inner products between tasks, from which any weighted mean over tasks has its norms."""

    exact: np.ndarray
    """[B, B]."""
    each: np.ndarray
    """Of every draw's estimates [S, B, B]."""
    crossed: np.ndarray
    """Of every draw's estimates with the exact meta-gradients [S, B, B]."""
    mean: np.ndarray
    """Of mean estimates [B, B]."""
    lacking: np.ndarray
    """Of the differences between mean estimates and the exact meta-gradients [B, B]."""
    variance: np.ndarray
    """Over draws, summed over weights, [B]; unbiased."""
    draws: int


def _products(exact: np.ndarray, estimates: np.ndarray) -> _Products:
    mean, draws = estimates.mean(0), len(estimates)
    lacking = mean - exact
    deviations = [np.square(each - mean).sum(1) for each in estimates]
    return _Products(
        exact @ exact.T,
        np.stack([each @ each.T for each in estimates]),
        np.stack([each @ exact.T for each in estimates]),
        mean @ mean.T,
        lacking @ lacking.T,
        np.sum(deviations, 0) / max(1, draws - 1),
        draws,
    )


def _figures(products: _Products, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cosine, bias, noise and spread for each row of weights of tasks [R, B], which sum to 1."""

    def form(matrix: np.ndarray) -> np.ndarray:
        return np.sum(weights @ matrix * weights, axis=-1)

    size = form(products.exact)
    noise = np.square(weights) @ products.variance
    lengths = np.sqrt(np.maximum(form(products.each) * size, 1e-300))
    cosine = (form(products.crossed) / lengths).mean(0)
    bias = np.sqrt(np.maximum(form(products.lacking) - noise / products.draws, 0) / size)

    def over_tasks(matrix: np.ndarray, variance: np.ndarray | float = 0.0) -> np.ndarray:
        return np.maximum(weights @ (np.diagonal(matrix) - variance) - form(matrix), 0)

    within = products.variance / products.draws
    own, theirs = over_tasks(products.mean, within) + np.square(weights) @ within, over_tasks(products.exact)
    return cosine, bias, np.sqrt(noise / size), np.sqrt(own / np.maximum(theirs, 1e-300))
