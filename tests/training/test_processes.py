"""Several processes that train together on this machine; started as a script, this file is one of them."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta.learners.maml import maml
from jaxmeta.losses import squared_error
from jaxmeta.training.checkpoint import checkpoints
from jaxmeta.training.loop import train_loop
from jaxmeta.training.processes import joined, together
from jaxmeta.training.runlog import read_metrics
from jaxmeta.training.sharing import all_devices
from jaxmeta.training.update import init_state, make_update
from jaxmeta.types import Batch, Episode, Model

HANGING = 400
"""Seconds that decide nothing but that a process hangs."""


def _model() -> Model:
    """One neuron that uses its key and counts its calls, so that all of TrainState matters."""

    def init(key, inputs):
        return {"w": jnp.full((3,), 0.3, inputs.dtype)}, {"mean": inputs.mean(), "calls": jnp.int32(0)}

    def apply(params, state, inputs, key, train):
        outputs = jnp.tanh(inputs @ params["w"]) + 0.01 * jax.random.normal(key, (len(inputs),), inputs.dtype)
        return outputs, {"mean": inputs.mean(), "calls": state["calls"] + 1}

    return Model(init, apply)


class _Sampler:
    """Tasks of six points; notes which of them were drawn, and can be slow."""

    def __init__(self, tasks: int, dtype: str, seconds: float = 0.0):
        self.tasks, self.dtype, self.seconds, self.drawn = tasks, dtype, seconds, set()

    def size(self, index: int) -> int:
        return self.tasks

    def part(self, index: int, first: int, last: int) -> Episode:
        self.drawn |= set(range(first, last))
        time.sleep(self.seconds)
        return jax.tree.map(lambda *leaves: np.stack(leaves), *(self._task(index, each) for each in range(first, last)))

    def __call__(self, index: int) -> Episode:
        return self.part(index, 0, self.tasks)

    def _task(self, index: int, number: int) -> Episode:
        rng = np.random.default_rng((index, number))

        def batch() -> Batch:
            inputs = rng.normal(size=(6, 3)).astype(self.dtype)
            return Batch(inputs, np.sin(inputs.sum(-1)), np.ones(6, self.dtype))

        return Episode(batch(), batch())


def _train(tasks: int, folder: Path, steps: int, given: dict, **options):
    sampler = _Sampler(tasks, given["dtype"], given.get("slow", 0.0) if given["process"] == 1 else 0.0)
    mesh = all_devices() if together() else None
    learner, optimizer = maml(_model(), squared_error, optax.sgd(0.3), 2), optax.adam(0.01)
    first = init_state(learner, optimizer, jax.random.key(0), _Sampler(1, given["dtype"])(0).support.inputs[0])
    update = make_update(learner, optimizer, mesh=mesh)
    end = train_loop(update, first, sampler, steps, folder, mesh=mesh, log_every=1, **options)
    return end, sampler.drawn


def _compare(end, alone, tolerance: float) -> None:
    for got, expected in zip(_leaves(end), _leaves(alone), strict=True):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def _leaves(train) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(train._replace(key=jax.random.key_data(train.key)))]


def _process(given: dict) -> None:
    jax.config.update("jax_enable_x64", given["dtype"] == "float64")
    out, ends = Path(given["out"]), {}
    with joined(f"127.0.0.1:{given['port']}", given["processes"], given["process"]) as leave:
        if given.get("endless"):
            say = {"on_step": lambda train, _: print(int(train.step), flush=True)}
            _train(5, out, 100_000, given, **say)
        for tasks in (5, 1):
            ends[tasks], drawn = _train(tasks, out / str(tasks), given["steps"], given)
            if tasks == 5 and given["processes"] == 2:  # Three each, of which one fills up.
                assert drawn == [{0, 1, 2}, {3, 4}][given["process"]], drawn
        if not leave():
            return
    for tasks, end in ends.items():
        alone, _ = _train(tasks, out / f"alone {tasks}", given["steps"], given)
        _compare(end, alone, 1e-12 if given["dtype"] == "float64" else 1e-6)
        rows, expected = (read_metrics(out / name) for name in (str(tasks), f"alone {tasks}"))
        assert [row["step"] for row in rows] == list(range(1, given["steps"] + 1))
        np.testing.assert_allclose([row["loss"] for row in rows], [row["loss"] for row in expected], rtol=1e-5)
    print("same", flush=True)


@contextmanager
def _started(folder: Path, processes: int, **given):
    """The processes; what they say on standard error is in `folder`."""
    # The coordinator may bind to this port too, as it shares it; nobody else gets it meanwhile.
    with socket.socket(socket.AF_INET6) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        held.bind(("::", 0))
        running = []
        try:
            for process in range(processes):
                every = {"port": held.getsockname()[1], "processes": processes, "process": process, **given}
                with (folder / f"errors {process}").open("w") as errors:
                    running.append(
                        subprocess.Popen(
                            [sys.executable, __file__, json.dumps(every)], stdout=subprocess.PIPE, stderr=errors,
                            text=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]),
                                                         "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
                        )
                    )  # fmt: skip
            yield running
        finally:
            for each in running:
                each.kill()
                each.communicate()


def _errors(folder: Path, process: int) -> str:
    return (folder / f"errors {process}").read_text()


@pytest.mark.slow
def test_two_processes_train_as_one_and_four_go_on(tmp_path):
    folder = tmp_path / "run"
    for processes, steps in ((2, 6), (4, 12)):
        with _started(tmp_path, processes, out=str(folder), dtype="float64", steps=steps) as running:
            said = [each.communicate(timeout=HANGING)[0] for each in running]
        assert "same" in said[0], _errors(tmp_path, 0)
        assert [each.returncode for each in running] == [0] * processes
    assert f"{folder / '5'}: begun on 2 devices, goes on on 4 devices: the same to rounding" in _errors(tmp_path, 0)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_a_slow_process_changes_nothing(tmp_path, processes):
    given = {"out": str(tmp_path / "run"), "dtype": "float32", "steps": 8 // processes, "slow": 0.5}
    with _started(tmp_path, processes, **given) as running:
        said = [each.communicate(timeout=HANGING)[0] for each in running]
    assert "same" in said[0], _errors(tmp_path, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("killed", "processes"), [(1, 3), (0, 2)])
def test_a_process_that_is_killed_ends_the_others_which_say_its_name(tmp_path, killed, processes):
    given = {"out": str(tmp_path / "run"), "dtype": "float32", "endless": True}
    with _started(tmp_path, processes, **given) as running:
        steps = (int(line) for line in running[killed].stdout if line.strip().isdigit())  # Others are of gloo.
        assert [next(steps) for _ in range(3)] == [1, 2, 3]
        running[killed].kill()
        others = [each for each in range(processes) if each != killed]
        for each in others:
            running[each].communicate(timeout=HANGING)
            said = _errors(tmp_path, each)
            assert running[each].returncode == 1, said
            assert f"jaxmeta: process {killed} of {processes} (" in said and f"pid {running[killed].pid}" in said


@pytest.mark.slow
def test_a_signal_to_one_process_saves_and_stops_all_at_the_same_update(tmp_path):
    given = {"out": str(tmp_path / "run"), "dtype": "float32", "endless": True}
    with _started(tmp_path, 2, **given) as running:
        steps = (int(line) for line in running[1].stdout if line.strip().isdigit())
        assert next(steps) == 1
        running[1].terminate()
        said = [each.communicate(timeout=HANGING)[0] for each in running]
    assert [each.returncode for each in running] == [143, 143], _errors(tmp_path, 0)
    last = int([line for line in said[0].splitlines() if line.isdigit()][-1])
    assert f"SIGTERM: saved step {last}/100000 in" in _errors(tmp_path, 0)
    assert checkpoints(tmp_path / "run" / "checkpoints")[-1].name == f"step_{last:010d}"


if __name__ == "__main__":
    _process(json.loads(sys.argv[1]))
