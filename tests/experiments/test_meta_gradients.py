"""The comparison of meta-gradients: what is exact is exact, and what a run writes."""

import json

import jax
import numpy as np
import pytest

from experiments.meta_gradients import __main__ as experiment
from experiments.meta_gradients.__main__ import Compared, Config
from experiments.meta_gradients.data import Problem
from jaxmeta import Batch, Episode, Model, first_order, unrolled
from jaxmeta.losses import squared_error

RATE, CURVATURE = 0.1, np.array([1.0, 2.0])


@pytest.fixture(scope="module")
def problem():
    """Quadratic losses of one weight a task: mean of (x w - y)^2 with x fixed, y of the task."""
    model = Model(
        lambda key, inputs: ({"w": np.zeros(1)}, {}),
        lambda params, state, inputs, key, train: (inputs * params["w"], {}),
    )
    inputs = np.broadcast_to(np.sqrt(CURVATURE / 2)[:, None, None], (2, 1, 1))
    batch = Batch(inputs, np.array([[[1.0]], [[3.0]]]), np.ones((2, 1)))
    weights = dict.fromkeys(("at initialisation", "after training"), ({"w": np.array([0.5])}, {}))
    return Problem("line", model, squared_error, Episode(batch, batch), weights, (RATE, 0.2), (1,), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "power"), [(unrolled(), 2), (first_order(), 1)])
def test_meta_gradients_of_quadratics_are_those_of_the_closed_form(problem, estimator, power):
    with jax.enable_x64(True):
        (params, state), episodes = problem.weights["at initialisation"], problem.episodes
        arguments = jax.tree.map(experiment.widened, (params, state, episodes, RATE))
        found = experiment.meta_gradients(problem, 1, Compared(estimator))(*arguments)
    slope, targets = np.sqrt(CURVATURE / 2), np.array([1.0, 3.0])
    start = 2 * slope * (slope * 0.5 - targets)
    # Each factor 1 - rate * curvature is there once for the weights after the step, and once for the step's derivative.
    np.testing.assert_allclose(found[0, :, 0], start * (1 - RATE * CURVATURE) ** power, rtol=1e-12)


@pytest.mark.slow
def test_a_run_compares_every_estimator_and_draws(tmp_path, monkeypatch, problem):
    monkeypatch.setattr("experiments.meta_gradients.data.sinusoids", lambda *arguments: problem)
    result = experiment.main(Config(preset="quick", tasks=2, workdir=tmp_path))
    rows = {(row["estimator"], row["steps"], row["rate"]): row for row in result["rows"]}
    assert rows["mixed mode", 5, RATE]["bias"] < 1e-12
    assert rows["implicit, 5 solves", 5, RATE]["bias"] > 0.01 and rows["first order", 1, RATE]["bias"] > 0.1
    assert json.loads((tmp_path / "results.json").read_text())["run"]["tasks"] == 2
    assert (tmp_path / "meta_gradients.png").stat().st_size < 200_000


def test_a_single_task_is_refused():
    with pytest.raises(ValueError, match="tasks=1 must be 2 or more"):
        experiment.main(Config(tasks=1))
