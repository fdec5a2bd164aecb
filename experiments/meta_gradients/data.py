"""Networks of this experiment, with tasks to train them on and tasks to compare meta-gradients by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax
from jax import numpy as jnp

from jaxmeta import maml, mixed_mode
from jaxmeta.data.sampling.sinusoids import sinusoid_tasks
from jaxmeta.data.sampling.word_tasks import task_sampler
from jaxmeta.data.word_corpora import load_words
from jaxmeta.losses import cross_entropy, squared_error
from jaxmeta.models.clip_encoders import residual
from jaxmeta.models.perceptron import perceptron
from jaxmeta.training import init_state, make_update
from jaxmeta.types import Episode, Loss, Model, PyTree

WAYS, SHOTS, QUERIES = 5, 1, 5
"""Of tasks of words."""


class Problem(NamedTuple):
    """A network, its tasks, and its weights before and after meta-training."""

    name: str
    model: Model
    loss: Loss
    episodes: Episode
    """Tasks that meta-gradients are compared by, with a leading axis [B]; none of training."""
    weights: dict[str, tuple[PyTree, PyTree]]
    """"at initialisation" and "after training" -> (params, state)."""
    rates: tuple[float, ...]
    """Inner rates; the last but one is that of meta-training."""
    steps: tuple[int, ...]
    """Inner steps, at the rate of meta-training."""
    strength: float
    """Pull to the initial weights, of the implicit estimator's problem."""


def sinusoids(tasks: int, updates: int, seed: int) -> Problem:
    """The usual perceptron of 1,761 weights on 10 points of a sinusoid."""
    key = jax.random.key(seed)
    episodes = sinusoid_tasks(jax.random.fold_in(key, 2**31 - 1), tasks, 10, 10)

    def sample(step: int) -> Episode:
        return sinusoid_tasks(jax.random.fold_in(key, step), 25, 10, 10)

    rates = (0.001, 0.003, 0.01, 0.03)
    weights = _trained(perceptron(), squared_error, sample, rates[-2], updates, 1e-3, seed)
    return Problem("sinusoids", perceptron(), squared_error, episodes, weights, rates, (1, 2, 5, 10, 20, 50, 100), 10.0)


def words(tasks: int, updates: int, seed: int) -> Problem:
    """A small word network on 5-way 1-shot tasks of the built-in synthesised words."""
    corpora = load_words([], invented=0, seed=seed)
    train = task_sampler(corpora.train, WAYS, [(SHOTS, QUERIES, 4)], seed)
    (tested,) = corpora.test.values()
    test = task_sampler(tested.with_column("pool", "test"), WAYS, [(SHOTS, QUERIES, tasks)], seed)
    model, rates = residual(WAYS, width=16, frames=32), (0.01, 0.03, 0.1, 0.3)
    weights = _trained(model, cross_entropy, train, rates[-2], updates, 2e-3, seed)
    return Problem("words", model, cross_entropy, test(0), weights, rates, (1, 2, 5, 10, 20), 1.0)


def _trained(
    model: Model, loss: Loss, sample: Callable[[int], Episode], rate: float, updates: int, meta_rate: float, seed: int
) -> dict[str, tuple[PyTree, PyTree]]:
    """Weights before and after meta-training by exact MAML of five steps."""
    learner, optimizer = maml(model, loss, optax.sgd(rate), 5, mixed_mode()), optax.adam(meta_rate)
    inputs = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), sample(0).support.inputs)
    train = init_state(learner, optimizer, jax.random.key(seed), inputs)
    before, update = (train.params, train.state), jax.jit(make_update(learner, optimizer))
    for step in range(updates):
        train, _ = update(train, sample(step))
    return {"at initialisation": before, "after training": (train.params, train.state)}
