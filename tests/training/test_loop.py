import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.files.durable import lock
from jaxmeta.files.sealed import read_sealed
from jaxmeta.interrupts import Interrupted
from jaxmeta.training.checkpoint import Validation, checkpoints, restore
from jaxmeta.training.health import read_health
from jaxmeta.training.loop import train_loop
from jaxmeta.training.runlog import read_metrics
from jaxmeta.training.sharing import all_devices
from jaxmeta.training.update import TrainState


def _start() -> TrainState:
    return TrainState(jnp.int32(0), jax.random.key(0), jnp.zeros(2, jnp.float32), {}, ())


def _update(train, episodes):
    """Adds the episode and the step: after n steps of the sampler below, n (n - 1) / 2 of each."""
    params = train.params + jnp.stack([episodes, train.step.astype(jnp.float32)])
    return train._replace(step=train.step + 1, params=params), {"loss": params.sum()}


def _sampler(step):
    return np.float32(step)


def _raise_at(step, *numbers):
    def on_step(train, metrics):
        if int(train.step) == step:
            for number in numbers:
                signal.raise_signal(number)

    return on_step


def _files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_each_step_gets_its_own_episodes_once_sampled_before_the_device_is_waited_for(tmp_path):
    events = []

    def sampler(step):
        events.append(f"sample {step}")
        return np.float32(step)

    train = train_loop(
        _update, _start(), sampler, 3, tmp_path, on_step=lambda train, _: events.append(f"done {int(train.step)}")
    )
    assert events == ["sample 0", "sample 1", "done 1", "sample 2", "done 2", "done 3"]
    assert train.params.tolist() == [3.0, 3.0]


@pytest.fixture(autouse=True)
def own_interrupts():
    """Python's own handler: a shell that starts the tests in the background has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_saves_stops_with_the_usual_code_and_the_same_call_goes_on(tmp_path, capsys, number, code):
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as caught:
        train_loop(_update, _start(), _sampler, 20, tmp_path, log_every=2, on_step=_raise_at(7, number))
    assert isinstance(caught.value, Interrupted)
    assert caught.value.code == code
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert f"{number.name}: saved step 7/20 in {tmp_path}; the same command resumes." in capsys.readouterr().err
    assert restore(tmp_path / "checkpoints", _start()).params.tolist() == [21.0, 21.0]

    def late(step):
        assert step >= 7
        return np.float32(step)

    train = train_loop(_update, _start(), late, 20, tmp_path, log_every=2)
    assert train.params.tolist() == [190.0, 190.0]
    assert [row["step"] for row in read_metrics(tmp_path)] == list(range(2, 21, 2))


def test_second_signal_stops_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_loop(_update, _start(), _sampler, 5, tmp_path, on_step=_raise_at(2, signal.SIGINT, signal.SIGINT))
    assert checkpoints(tmp_path / "checkpoints") == []


def test_signal_that_was_ignored_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        train = train_loop(_update, _start(), _sampler, 5, tmp_path, on_step=_raise_at(2, signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert int(train.step) == 5


def test_signal_in_the_last_step_ends_the_command_and_the_complete_run_is_loaded(tmp_path, capsys):
    with pytest.raises(Interrupted) as stop:
        train_loop(_update, _start(), _sampler, 5, tmp_path, on_step=_raise_at(5, signal.SIGTERM))
    assert stop.value.code == 143 and "SIGTERM: saved step 5/5" in capsys.readouterr().err
    assert train_loop(None, _start(), None, 5, tmp_path).params.tolist() == [10.0, 10.0]


def test_complete_run_is_loaded_and_nothing_is_touched(tmp_path):
    train_loop(_update, _start(), _sampler, 5, tmp_path, config={"rate": 0.1})
    before = _files(tmp_path)
    train = train_loop(pytest.fail, _start(), pytest.fail, 5, tmp_path, config={"rate": 0.1})
    assert train.params.tolist() == [10.0, 10.0]
    assert _files(tmp_path) == before


def test_more_steps_go_on_and_fewer_are_refused(tmp_path):
    train_loop(_update, _start(), _sampler, 5, tmp_path)
    assert train_loop(_update, _start(), _sampler, 8, tmp_path).params.tolist() == [28.0, 28.0]
    with pytest.raises(ValueError, match=r"run of 8 steps, beyond steps=6; use another folder"):
        train_loop(_update, _start(), _sampler, 6, tmp_path)


def test_another_config_is_refused_naming_what_differs(tmp_path):
    config = {"rate": 0.1, "sizes": (1, 2), "limit": float("inf"), "folder": tmp_path, "old": None}
    train_loop(_update, _start(), _sampler, 2, tmp_path, config=config)
    train_loop(_update, _start(), _sampler, 3, tmp_path, config=config)
    with pytest.raises(ValueError) as caught:
        train_loop(_update, _start(), _sampler, 4, tmp_path, config=config | {"rate": 0.2, "new": 1})
    message = str(caught.value)
    assert "new='(absent)' there, 1 here; rate=0.1 there, 0.2 here" in message
    assert "another folder" in message
    assert "sizes" not in message


def test_directory_in_use_is_refused(tmp_path):
    with lock(tmp_path), pytest.raises(ValueError, match="in use by another running process"):
        train_loop(_update, _start(), _sampler, 2, tmp_path)


def test_checkpoints_come_by_steps_or_by_time(tmp_path):
    train_loop(_update, _start(), _sampler, 7, tmp_path / "steps", save_every=3, save_seconds=1e9)
    train_loop(_update, _start(), _sampler, 4, tmp_path / "time", save_seconds=0.0, keep=2, at_once=1)
    names = [[int(path.name[5:]) for path in checkpoints(tmp_path / run / "checkpoints")] for run in ("steps", "time")]
    assert names == [[3, 6, 7], [3, 4]]


@pytest.mark.parametrize("stop", [5, 6, 7, 10])
def test_best_state_and_its_score_outlive_an_interruption(tmp_path, stop):
    validation = Validation(lambda train: -abs(int(train.step) - 6.0), every=3)  # best at step 6
    call = (_update, _start(), _sampler, 12, tmp_path)
    with pytest.raises(Interrupted):
        train_loop(*call, validation=validation, on_step=_raise_at(stop, signal.SIGTERM))
    train_loop(*call, validation=validation)
    assert restore(tmp_path / "best", _start()).params.tolist() == [15.0, 15.0]
    assert read_sealed(tmp_path / "best.json", "best", "") == {"step": 6, "score": 0.0}
    scores = {row["step"]: row["validation"] for row in read_metrics(tmp_path) if "validation" in row}
    assert scores == {3: -3.0, 6: 0.0, 9: -3.0, 12: -6.0}


def test_score_that_is_not_a_number_is_never_the_best(tmp_path):
    scores = {1: float("nan"), 2: 0.5, 3: float("nan")}
    validation = Validation(lambda train: scores[int(train.step)], every=1)
    train_loop(_update, _start(), _sampler, 3, tmp_path, validation=validation)
    assert int(restore(tmp_path / "best", _start()).step) == 2


def test_runs_outside_the_main_thread_where_no_handler_can_be_set(tmp_path):
    done = []
    thread = threading.Thread(target=lambda: done.append(train_loop(_update, _start(), _sampler, 3, tmp_path)))
    thread.start()
    thread.join()
    assert done[0].params.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"save_every": 0}, "save_every=0"),
        ({"keep": 0}, "keep=0"),
        ({"log_every": -1}, "log_every=-1"),
        ({"validation": Validation(float, 0)}, "validation.every=0"),
    ],
)
def test_counts_below_one_are_refused_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        train_loop(_update, _start(), _sampler, 3, tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_checkpoint_that_devices_agree_on_is_saved_with_the_metrics_of_all_its_updates(tmp_path):
    def sampler(step):
        if step == 5:  # Update 2 is the first that is drawn with the wish for a checkpoint, which comes 2 later.
            raise KeyError("no more tasks")
        return np.full(1, step, np.float32)

    def update(train, episodes, real):
        return _update(train, episodes[0])

    with pytest.raises(KeyError):
        train_loop(update, _start(), sampler, 9, tmp_path, mesh=all_devices(), save_seconds=0, log_every=1)
    assert [folder.name for folder in checkpoints(tmp_path / "checkpoints")] == ["step_0000000004"]
    assert read_health(tmp_path).updates == 4
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4]
