"""A run that is killed again and again; started as a script, this file is that run."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta.learners.maml import maml
from jaxmeta.losses import squared_error
from jaxmeta.training.checkpoint import restore
from jaxmeta.training.loop import train_loop
from jaxmeta.training.runlog import read_metrics
from jaxmeta.training.update import TrainState, init_state, make_update
from jaxmeta.types import Batch, Episode, Model

_STEPS = 800
_MOST_STEPS_BETWEEN_KILLS = 50


def _model() -> Model:
    """One neuron, for it compiles fast; it uses its key and counts its calls, so that all of TrainState matters."""

    def init(key, inputs):
        return {"weights": np.full((3, 1), 0.5, np.float32)}, {"calls": np.zeros((), np.int32)}

    def apply(params, state, inputs, key, train):
        outputs = jnp.tanh(inputs @ params["weights"]) + 0.01 * jax.random.normal(key, (1,))
        return outputs, {"calls": state["calls"] + 1}

    return Model(init, apply)


def _sampler(step: int) -> Episode:
    rng = np.random.default_rng((0, step))

    def batch(weights: np.ndarray) -> Batch:
        inputs = rng.normal(size=(4, 5, 3)).astype(np.float32)
        return Batch(inputs, np.sin(inputs @ weights), np.ones((4, 5), np.float32))

    weights = rng.normal(size=(4, 3, 1)).astype(np.float32)
    return Episode(batch(weights), batch(weights))


def _pieces(steps: int):
    learner = maml(_model(), squared_error, optax.sgd(0.05), 1)
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, steps))
    first = init_state(learner, optimizer, jax.random.key(0), _sampler(0).support.inputs[0])
    return make_update(learner, optimizer), first


def _run(directory: Path, steps: int) -> None:
    update, first = _pieces(steps)
    train_loop(
        update,
        first,
        _sampler,
        steps,
        directory,
        config={"steps": steps},
        save_every=10,
        log_every=1,
        on_step=lambda train, _: print(int(train.step), flush=True),
    )


def _start(directory: Path, steps: int = _STEPS) -> subprocess.Popen:
    with (directory.parent / "errors.txt").open("a") as errors:
        return subprocess.Popen(
            [sys.executable, __file__, str(directory), str(steps)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # Compiled as in the process of the tests (conftest.py): results are compared to the last bit.
            env=os.environ
            | {
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            },
        )


def _kill(process: subprocess.Popen, steps: int, seconds: float) -> list[int]:
    """Kill a run some time after some steps; the steps that it reported until then."""
    assert process.stdout is not None
    seen = [int(process.stdout.readline()) for _ in range(steps)]
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    rest, _ = process.communicate()
    assert process.returncode == -9
    return seen + [int(line) for line in rest.splitlines()]


def _bits(train: TrainState) -> list[bytes]:
    leaves = jax.tree.leaves(train._replace(key=jax.random.key_data(train.key)))
    return [np.asarray(leaf).tobytes() for leaf in leaves]


def _rows(directory: Path) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in read_metrics(directory)]


@pytest.mark.slow
def test_run_killed_while_it_trains_ends_bitwise_as_one_left_alone(tmp_path):
    left_alone, killed = tmp_path / "left_alone", tmp_path / "killed"
    steps = 200
    seen = _kill(_start(killed, steps), 35, 0.0)
    assert seen == list(range(1, seen[-1] + 1))
    _run(left_alone, steps)
    assert 30 <= int(restore(killed / "checkpoints", _pieces(steps)[1]).step) < steps  # so that it resumes
    _run(killed, steps)
    _assert_same(left_alone, killed, steps)


@pytest.mark.slow
def test_run_killed_at_ten_random_moments_ends_bitwise_as_one_left_alone(tmp_path):
    left_alone, killed = tmp_path / "left_alone", tmp_path / "killed"
    reference = _start(left_alone)
    rng = np.random.default_rng(0)
    reached = 0
    for kill in range(10):
        # Two of them while the program starts, compiles or restores; the others while it trains, logs and saves.
        starting = kill in (3, 6)
        steps = 0 if starting else int(rng.integers(1, _MOST_STEPS_BETWEEN_KILLS))
        seen = _kill(_start(killed), steps, float(rng.uniform(0.0, 0.8 if starting else 0.05)))
        assert not seen or seen[0] <= reached + 1  # no step is left out
        assert seen == list(range(seen[0], seen[-1] + 1)) if seen else True
        reached = seen[-1] if seen else reached
    last = _start(killed)
    out, _ = last.communicate()
    assert reference.communicate() and (reference.returncode, last.returncode) == (0, 0)
    assert int(out.split()[0]) > 10  # it resumed and did not start afresh
    _assert_same(left_alone, killed, _STEPS)


def _assert_same(left_alone: Path, killed: Path, steps: int) -> None:
    like = _pieces(steps)[1]
    expected, actual = (restore(run / "checkpoints", like) for run in (left_alone, killed))
    assert int(expected.step) == steps
    assert int(expected.state["calls"]) > 0
    assert _bits(actual) == _bits(expected)
    assert _rows(killed) == _rows(left_alone)
    assert [row["step"] for row in _rows(killed)] == list(range(1, steps + 1))


if __name__ == "__main__":
    _run(Path(sys.argv[1]), int(sys.argv[2]))
