"""Sinusoid tasks lie on sinusoids of the published family."""

import jax
import numpy as np

from jaxmeta.data.sampling.sinusoids import sinusoid_tasks


def coefficients(x, y):
    """Amplitude and phase of the least-squares a sin(x - p), in float64."""
    x, y = np.asarray(x, np.float64)[:, 0], np.asarray(y, np.float64)[:, 0]
    sine, cosine = np.linalg.lstsq(np.stack([np.sin(x), -np.cos(x)], 1), y, rcond=None)[0]
    return np.hypot(sine, cosine), np.arctan2(cosine, sine)


def test_support_and_query_of_a_task_lie_on_one_sinusoid_within_the_published_ranges():
    support, query = jax.tree.map(np.asarray, sinusoid_tasks(jax.random.key(0), 400, 10, 30))
    assert support.inputs.shape == (400, 10, 1) and query.targets.shape == (400, 30, 1)
    assert np.all(support.weight == 1) and np.all(query.weight == 1)
    found = np.array([coefficients(x, y) for x, y in zip(query.inputs, query.targets, strict=True)])
    amplitude, phase = found[:, 0, None], found[:, 1, None]
    expected = amplitude * np.sin(np.asarray(support.inputs, np.float64)[..., 0] - phase)
    np.testing.assert_allclose(support.targets[..., 0], expected, atol=1e-5)  # float32 sine of arguments up to 8
    for values, low, high in ((amplitude, 0.1, 5), (phase, 0, np.pi), (np.asarray(query.inputs), -5, 5)):
        assert low - 1e-4 < values.min() and values.max() < high + 1e-4
        # Mean of a uniform variable: standard deviation (high - low) / sqrt(12 n); points of a task are independent.
        assert abs(values.mean() - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * values.size)


def test_frequencies_lie_in_the_range_that_is_asked_for():
    support, _ = jax.tree.map(np.asarray, sinusoid_tasks(jax.random.key(0), 60, 40, 1, (0.8, 1.2)))
    grid = np.linspace(0.7, 1.3, 121)

    def misfit(x, y, frequency):
        basis = np.stack([np.sin(frequency * x), np.cos(frequency * x)], 1)
        return np.linalg.lstsq(basis, y, rcond=None)[1][0] / np.sum(y**2)

    fitted = [
        grid[np.argmin([misfit(x.astype(np.float64), y.astype(np.float64), each) for each in grid])]
        for x, y in zip(support.inputs[..., 0], support.targets[..., 0], strict=True)
    ]
    assert min(fitted) > 0.79 and max(fitted) < 1.21 and np.ptp(fitted) > 0.3
