"""The loop on a device is the update again and again."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import maml
from jaxmeta.data.sampling.sinusoids import sinusoid_tasks
from jaxmeta.interrupts import Interrupted
from jaxmeta.losses import squared_error
from jaxmeta.models.perceptron import perceptron
from jaxmeta.training import TrainState, init_state, make_update
from jaxmeta.training.checkpoint import Validation, checkpoints
from jaxmeta.training.loop import train_loop
from jaxmeta.training.on_device import AT_ONCE, SMALL, calls, make_update_loop
from jaxmeta.training.runlog import read_metrics


def test_the_compiled_loop_is_the_update_again_and_again_whatever_its_chunks():
    learner, optimizer = maml(perceptron(), squared_error, optax.sgd(0.01), 1), optax.adam(1e-3)
    update, key = make_update(learner, optimizer), jax.random.key(1)
    update_loop = make_update_loop(update, lambda key: sinusoid_tasks(key, 3, 5, 5))
    train = init_state(learner, optimizer, jax.random.key(3), jnp.zeros((10, 1)))
    expected, losses, update = train, [], jax.jit(update)
    for step in range(7):
        expected, metrics = update(expected, sinusoid_tasks(jax.random.fold_in(key, step), 3, 5, 5))
        losses.append(float(metrics["loss"]))
    whole, loss = update_loop(train, key, 7)
    halves, _ = update_loop(update_loop(train, key, 3)[0], key, 4)
    assert int(whole.step) == 7
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-5)
    for got, other, want in zip(*map(jax.tree.leaves, (whole.params, halves.params, expected.params)), strict=True):
        assert np.array_equal(got, other)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)  # float32, fused in another way


def _learner_and_start():
    learner, optimizer = maml(perceptron(), squared_error, optax.sgd(0.01), 1), optax.adam(1e-3)
    return make_update(learner, optimizer), init_state(learner, optimizer, jax.random.key(3), jnp.zeros((10, 1)))


def _tasks(step):
    return jax.tree.map(np.asarray, sinusoid_tasks(jax.random.key(step), 3, 5, 5))


@pytest.mark.slow
def test_training_is_the_same_bit_for_bit_however_many_updates_a_call_makes(tmp_path):
    update, start = _learner_and_start()
    validation = Validation(lambda train: -float(train.step), every=4)
    runs = {}
    for at_once in (1, 8):
        folder = tmp_path / str(at_once)
        train = train_loop(
            update, start, _tasks, 9, folder, save_every=7, log_every=1, validation=validation, at_once=at_once
        )
        rows = [
            {name: row[name] for name in ("step", "loss", "masked", "gradient_norm")} for row in read_metrics(folder)
        ]
        leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((train.params, train.optimizer))]
        runs[at_once] = rows, leaves, [path.name for path in checkpoints(folder / "checkpoints")]
    assert [row["step"] for row in runs[1][0]] == list(range(1, 10))
    assert runs[1] == runs[8]


def _counting(train, episodes):
    """Adds the episode: after n steps of `np.float32`, n (n - 1) / 2."""
    return train._replace(step=train.step + 1, params=train.params + episodes), {"loss": train.params}


def _start(params):
    return TrainState(jnp.int32(0), jax.random.key(0), params, {}, ())


def test_a_signal_during_a_call_of_many_updates_saves_its_end_and_the_run_goes_on_from_there(tmp_path):
    def sampler(step):
        if step == 12 and not (tmp_path / "checkpoints").exists():
            signal.raise_signal(signal.SIGTERM)
        return np.float32(step)

    start = _start(jnp.float32(0))
    with pytest.raises(Interrupted):
        train_loop(_counting, start, sampler, 20, tmp_path)
    assert int(train_loop(_counting, start, sampler, 20, tmp_path).params) == 190
    log = read_metrics(tmp_path)
    assert [row["step"] for row in log] == [10, 20]
    assert [row["loss"] for row in log] == [36.0, 171.0]  # 0 + ... + 8, and 0 + ... + 18


def test_batches_of_another_form_come_in_another_call():
    def sampler(step):
        return np.zeros(1 + (step > 2))

    _, draw = calls(_counting, sampler, _start(jnp.zeros(2)), 8, lambda step: step == 6)
    groups = [draw(step) for step in (0, 3, 6)]
    assert [(int(group.made), group.episodes.shape) for group in groups] == [(3, (8, 1)), (3, (8, 2)), (8, (8, 2))]


@pytest.mark.parametrize(("weights", "most"), [(SMALL, AT_ONCE), (SMALL + 1, None)])
def test_small_networks_alone_make_several_updates_a_call(weights, most):
    start = _start(jnp.zeros(weights))
    program, draw = calls(_counting, np.float32, start, None, lambda step: False)
    assert (program is _counting) == (most is None)
    assert np.shape(draw(0).episodes if most else draw(0)) == ((most,) if most else ())


def test_networks_with_convolutions_of_xla_make_one_update_a_call():
    def update(train, episodes):
        smooth = jnp.convolve(train.params, train.params[:3], mode="same")
        return train._replace(step=train.step + 1, params=smooth + episodes), {"loss": smooth.sum()}

    drawn, sampler = [], lambda step: drawn.append(step) or np.float32(step)
    program, draw = calls(update, sampler, _start(jnp.ones(9)), None, lambda step: False)
    assert program is update
    assert [float(draw(step)) for step in (0, 1)] == [0.0, 1.0]
    assert drawn == [0, 1]  # The one that was looked at is not drawn again.
