"""The sinusoid experiment: its errors and what it writes."""

import json
import subprocess
import sys
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.sinusoid import __main__ as sinusoid
from experiments.sinusoid import published
from experiments.sinusoid.__main__ import Config
from jaxmeta.data.sampling.sinusoids import sinusoid_tasks
from jaxmeta.training import init_state


@pytest.fixture(scope="module")
def untrained():
    learner = sinusoid.make_learner(Config(), 1)
    return init_state(learner, optax.adam(1e-3), jax.random.key(3), jnp.zeros((10, 1)))


def test_the_error_before_adaptation_is_that_of_the_network_in_numpy(untrained):
    evaluate = {0: sinusoid.make_evaluations(Config())[0]}
    (row,) = sinusoid.test(Config(), evaluate, untrained, 50, seed=3)
    query = sinusoid_tasks(jax.random.key(2**31 - 1), 50, 10, 100).query
    hidden = np.asarray(query.inputs, np.float64)
    for layer in ("Dense_0", "Dense_1", "head"):
        weights = untrained.params[layer]
        hidden = hidden @ np.asarray(weights["kernel"]) + np.asarray(weights["bias"])
        hidden = hidden if layer == "head" else np.maximum(hidden, 0)
    errors = np.square(hidden - query.targets).mean(axis=(1, 2))
    assert row["mse"] == pytest.approx(errors.mean(), rel=1e-5)
    assert row["ci95"] == pytest.approx(1.96 * errors.std(ddof=1) / np.sqrt(50), rel=1e-3)
    assert (row["steps"], row["seed"], row["tasks"], row["diverged"]) == (0, 3, 50, 0.0)


def test_tasks_that_are_not_finite_or_beyond_100_count_as_diverged(untrained):
    errors = np.array([0.5, 99.0, 101.0, np.nan, np.inf])
    rows = sinusoid.test(Config(), {10: lambda *arguments: {"mse": errors}}, untrained, 5, seed=0)
    assert rows[0]["diverged"] == pytest.approx(3 / 5)


def test_one_exploded_seed_does_not_move_the_median():
    rows = [
        {"steps": steps, "mse": mse, "ci95": 0.1, "diverged": diverged, "seconds": 2.0}
        for steps in sinusoid.TESTED_STEPS
        for mse, diverged in ((0.3, 0.0), (0.5, 0.0), (float("nan"), 0.3))
    ]
    for row in sinusoid.summarise(rows):
        assert (row["mse"], row["lowest"], row["highest"], row["seeds"]) == (0.5, 0.3, float("inf"), 3)
        assert row["diverged"] == pytest.approx(0.1)


def test_a_run_writes_rows_with_a_stamp_a_table_and_fits(tmp_path):
    size = {"iterations": 2, "seeds": 2, "test_tasks": 3, "tasks": 2}
    result = sinusoid.main(Config(preset="quick", workdir=tmp_path, seed=4, **size))
    written = json.loads((tmp_path / "maml" / "results.json").read_text())
    assert [(row["seed"], row["steps"]) for row in written["rows"]] == [(s, k) for s in (4, 5) for k in (0, 1, 5, 10)]
    assert written["rows"] == result["rows"]
    assert written["run"]["seed"] == 4 and written["run"]["config"]["iterations"] == 2
    assert (tmp_path / "maml" / "results.md").read_text().startswith("| steps | mse |")
    assert (tmp_path / "maml" / "fits_0.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.slow
def test_settings_beside_published_figures_are_trained_once_for_each_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "SETTINGS", (published.Setting("maml", 5, 2, (0.8, 1.2), 2, "1.13"),))
    first = sinusoid.main(Config(published=True, iterations=3, test_tasks=3, workdir=tmp_path))
    assert [(row["seed"], row["steps"]) for row in first["rows"]] == [(s, k) for s in range(3) for k in (0, 1, 5, 10)]
    (row,) = first["summary"]
    assert (row["points"], row["frequencies"], row["updates"], row["published, after 1 / 5 / 10"]) == (
        5, "0.8 to 1.2", 2, "1.13",
    )  # fmt: skip
    monkeypatch.setattr(sinusoid, "make_run", lambda *arguments: None)  # Nothing is left to train.
    again = sinusoid.main(Config(published=True, iterations=3, test_tasks=3, workdir=tmp_path))
    assert (again["rows"], again["summary"]) == (first["rows"], first["summary"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"test_tasks": 1}, "test_tasks must be at least 2, got 1"),
        (
            {"learner": "fomaml", "estimator": "mixed_mode"},
            "fomaml is maml with first_order, got estimator='mixed_mode'",
        ),
    ],
)
def test_a_config_that_cannot_run_is_an_error(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        sinusoid.main(Config(workdir=tmp_path, **change))


def test_a_learner_is_tested_with_its_steps_in_training_too():
    assert [*sinusoid.make_evaluations(Config(learner="imaml", steps=30))] == [0, 1, 5, 10, 30]
    assert [*sinusoid.make_evaluations(Config())] == [0, 1, 5, 10]


def test_every_learner_can_be_asked_for():
    for name in get_args(sinusoid.Name):
        assert sinusoid.make_learner(Config(learner=name)).adapt


def test_help_imports_no_jax():
    code = "import sys, experiments.sinusoid.__main__; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
