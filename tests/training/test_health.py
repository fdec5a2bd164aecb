"""Runs that learn nothing: they never look perfect, go back once, and end with an error."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxmeta import Batch, Episode, protonet
from jaxmeta.interrupts import Interrupted
from jaxmeta.losses import cross_entropy
from jaxmeta.models.linen import from_linen
from jaxmeta.training import init_state, make_update
from jaxmeta.training.checkpoint import Validation, checkpoints, restore
from jaxmeta.training.diagnosis import why_left_out
from jaxmeta.training.health import PATIENCE, WINDOW, DivergedError, Health, read_health
from jaxmeta.training.loop import train_loop
from jaxmeta.training.runlog import read_metrics
from jaxmeta.training.update import TrainState

START = TrainState(jnp.int32(0), jax.random.key(0), jnp.ones(2), {}, ())


def descent(rate):
    """Gradient descent on x^2 / 2: each step multiplies x by 1 - rate."""

    def update(train, episodes):
        loss = jnp.square(train.params).sum() / 2
        return train._replace(step=train.step + 1, params=train.params * (1 - rate)), {"loss": loss}

    return update


def idle(train, episodes):
    return train._replace(step=train.step + 1), {"loss": jnp.nan, "masked": jnp.int32(4)}


def sampler(step):
    return np.float32(step)


def test_a_run_that_never_counts_a_task_ends_with_an_error_and_its_loss_is_nan(tmp_path, capsys):
    with pytest.raises(DivergedError, match=f"{PATIENCE} updates in a row had no task.*check the data and the loss"):
        train_loop(idle, START, sampler, 30, tmp_path, log_every=1, explain=lambda *_: "labels are no class")
    rows = read_metrics(tmp_path)
    assert len(rows) == PATIENCE and all(np.isnan(row["loss"]) for row in rows)
    assert not checkpoints(tmp_path / "checkpoints")
    said = capsys.readouterr().err
    assert said.count("step 1 leaves out 4 tasks: labels are no class") == 1 and "back to step" not in said


def test_a_short_run_that_never_counts_a_task_does_not_end_normally(tmp_path):
    with pytest.raises(DivergedError, match="3 updates in a row"):
        train_loop(idle, START, sampler, 3, tmp_path)


# x grows by half at each step; at half of the rate a quarter of it is left.
def test_a_loss_that_runs_away_goes_back_once_and_half_of_the_rate_may_do(tmp_path, capsys):
    train = train_loop(descent(2.5), START, sampler, 40, tmp_path, save_every=8)
    assert np.abs(train.params).max() < 1e-6 and read_health(tmp_path).rate == 0.5
    said = capsys.readouterr().err
    first = 1.5 ** (2 * (WINDOW - 1))
    assert f"was {first:.3g} at most when training began: back to step" in said
    assert "at half of the rate" in said


def test_a_run_that_diverges_again_ends_with_an_error_and_keeps_its_last_good_checkpoint(tmp_path):
    with pytest.raises(DivergedError, match="half of the rate did not help: use a lower rate"):
        train_loop(descent(10.0), START, sampler, 60, tmp_path, save_every=5)
    assert np.isfinite(restore(tmp_path / "checkpoints", START).params).all()


def test_a_run_that_went_back_resumes_exactly(tmp_path):
    def stop(train, metrics):
        if int(train.step) == 30 and read_health(tmp_path / "interrupted").rate == 0.5:
            signal.raise_signal(signal.SIGTERM)

    def run(folder, **more):
        return train_loop(descent(2.5), START, sampler, 40, tmp_path / folder, save_every=10, **more)

    with pytest.raises(Interrupted):
        run("interrupted", on_step=stop)
    np.testing.assert_array_equal(run("interrupted").params, run("alone").params)


def test_weights_that_are_not_finite_are_neither_saved_nor_best(tmp_path):
    def update(train, episodes):
        params = jnp.where(train.step < 6, train.params + 1, jnp.nan)
        return train._replace(step=train.step + 1, params=params), {"loss": 1.0}

    with pytest.raises(DivergedError, match="weights are not finite after step 10"):
        train_loop(
            update, START, sampler, 20, tmp_path, save_every=5,
            validation=Validation(lambda train: float(train.step), 1),
        )  # fmt: skip
    for folder, step in (("checkpoints", 5), ("best", 6)):
        assert restore(tmp_path / folder, START).params.tolist() == [step + 1.0] * 2, folder


def test_a_single_idle_update_and_a_noisy_loss_are_no_divergence():
    health = Health()
    for loss in [1.0, np.nan, 15.0, 0.1, 30.0, *[0.01] * 50, 100.0, 0.02]:
        health = health.after({"loss": loss, "masked": int(np.isnan(loss))})
        assert health.problem() is None
    assert health.left_out == 1 and health.updates == 56


def test_the_reason_names_task_array_and_labels():
    def episodes(values=0.0, label=0):
        targets = np.tile(np.repeat(np.arange(3), 2), (4, 1)).astype(np.int32)
        inputs = np.random.default_rng(0).normal(size=(4, 6, 5)).astype(np.float32)
        inputs[2, 1, 3] += values
        targets[1] += label
        batch = Batch(inputs, targets, np.ones((4, 6), np.float32))
        return Episode(batch, batch)

    learner, optimizer = protonet(from_linen(nn.Dense(4)), cross_entropy, 3), optax.sgd(0.1)
    train = init_state(learner, optimizer, jax.random.key(0), episodes().support.inputs[0])
    assert why_left_out(learner, train, episodes()) == ""
    assert why_left_out(learner, train, episodes(np.nan)) == (
        "task 2: the loss is nan, for support/inputs (and 1 more) is not finite"
    )
    assert why_left_out(learner, train, episodes(label=1)) == (
        "task 1: the loss is nan, though the inputs are finite; "
        "support targets lie in [1, 3], query targets lie in [1, 3]"
    )
    _, metrics = jax.jit(make_update(learner, optimizer))(train, episodes(label=1))
    assert int(metrics["masked"]) == 1 and np.isfinite(metrics["loss"])
    poisoned = episodes()._replace(query=episodes().query._replace(targets=np.full((4, 6), 7, np.int32)))
    assert np.isnan(jax.jit(make_update(learner, optimizer))(train, poisoned)[1]["loss"])
