"""Train any learner on a sampler: AdamW on augmented episodes, with a cosine schedule, checkpoints and resumption."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxmeta import Episode, MetaLearner, Model, Ragged, maml, tree
from jaxmeta.training import TrainState, init_state, make_update
from jaxmeta.training.checkpoint import Validation
from jaxmeta.training.diagnosis import why_left_out
from jaxmeta.training.loop import train_loop
from jaxmeta.training.on_device import Placed, frames_fit, looked_up, with_frames
from jaxmeta.training.processes import together
from jaxmeta.training.runlog import Log
from jaxmeta.training.sharing import all_devices
from jaxmeta.types import Key, Loss, PyTree

Augment = Callable[[Key, Episode], Episode]


def fit(
    learner: MetaLearner,
    sampler: Callable[[int], Episode],
    updates: int,
    rate: float,
    directory: Path,
    *,
    augment: Augment,
    features: int,
    seed: int,
    config: Mapping[str, Any],
    params: PyTree | None = None,
    validation: Validation | None = None,
    update_transform: optax.GradientTransformation | None = None,
    log: Log | None = None,
    frames_on_device: bool | None = None,
) -> TrainState:
    """Train with AdamW and a cosine schedule, or load what was trained before.

    Processes that have joined each other (`training.processes`) share every batch; all of them call this.

    Args:
      learner: what is trained.
      sampler: index -> batch of tasks.
      updates: in all.
      rate: peak learning rate.
      directory: of the checkpoints and the log.
      augment: (key, episode) -> episode, for one task.
      features: numbers in a frame, F.
      seed: of the initial weights and the augmentation.
      config: what determines the result; a run with another one is not resumed.
      params: where training starts; None: at the learner's initial weights.
      validation: keeps the best state; None: the last one is all there is.
      update_transform: what the optimizer's updates go through last, such as `compress.prune.hold`; None: nothing.
      log: takes the metrics of every tenth update and `step=`, besides the log in the directory; docs/logs.md has those
        of W&B, MLflow, trackio and TensorBoard.
      frames_on_device: whether features lie on the device, and tasks are sent as places in them, which `task_sampler`
        and `WordBatches` can give; the result is the same. None: where they fit, see `on_device.frames_fit`. Never
        where processes share batches.
    """
    learner = augmented(learner, augment)
    optimizer = make_optimizer(updates, rate)
    optimizer = optimizer if update_transform is None else optax.chain(optimizer, update_transform)
    initial = initial_state(learner, optimizer, features, seed, params)
    mesh = all_devices() if together() else None
    placed = not mesh and (frames_fit(sampler) if frames_on_device is None else frames_on_device)
    draw: Callable[[int], Any] = with_frames(sampler) if placed else sampler

    def explain(state: TrainState, given: Episode | Placed) -> str:
        return why_left_out(learner, state, looked_up(given))

    def train(microbatch: int | None) -> TrainState:
        update = make_update(learner, optimizer, microbatch=microbatch, mesh=mesh)
        return train_loop(
            lambda state, given, *real: update(state, looked_up(given), *real), initial, draw, updates, directory,
            config=config, validation=validation, explain=explain, mesh=mesh, log=log, at_once=1 if placed else None,
        )  # fmt: skip

    return _in_memory(train, 1 if jax.default_backend() == "cpu" else None, sampler)


def _in_memory(
    train: Callable[[int | None], TrainState], microbatch: int | None, sampler: Callable[[int], Episode]
) -> TrainState:
    """Train; where the device has too little memory, once more with half as many tasks in flight."""
    try:
        return train(microbatch)
    except jax.errors.JaxRuntimeError as error:
        tasks = microbatch or tree.leading_size(sampler(0))
        if "RESOURCE_EXHAUSTED" not in str(error) or tasks == 1 or together():
            raise
    print(f"out of memory with {tasks} tasks in flight: going on with {tasks // 2}", file=sys.stderr, flush=True)
    return train(tasks // 2)


def supervised(model: Model, loss: Loss) -> MetaLearner:
    """Plain supervised training: a learner that does not adapt, so that its query loss is the loss of a batch."""
    return maml(model, loss, optax.sgd(0.0), steps=0)


def initial_state(
    learner: MetaLearner,
    optimizer: optax.GradientTransformation,
    features: int,
    seed: int,
    params: PyTree | None = None,
) -> TrainState:
    """The state before training, and the form of a checkpoint.

    Args:
      learner: of models whose inputs are `Ragged` frames.
      optimizer: the outer optimizer.
      features: numbers in a frame, F.
      seed: of the initial weights.
      params: where training starts; None: at the learner's initial weights.
    """
    inputs = Ragged(jnp.zeros((1, 8, features)), jnp.full(1, 8, jnp.int32))
    return init_state(learner, optimizer, jax.random.key(seed), inputs, params)


def make_optimizer(updates: int, rate: float) -> optax.GradientTransformation:
    """AdamW with clipped gradients; the rate rises for 50 updates and then falls along a cosine."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, min(50, updates // 4), max(updates, 1), rate / 50)
    return optax.chain(optax.clip_by_global_norm(5.0), optax.adamw(schedule, b2=0.99, weight_decay=1e-4))


def augmented(learner: MetaLearner, augment: Augment) -> MetaLearner:
    """The learner, trained on augmented episodes."""

    def meta_loss(params, state, episode, key):
        augment_key, key = jax.random.split(key)
        return learner.meta_loss(params, state, augment(augment_key, episode), key)

    return learner._replace(meta_loss=meta_loss)
