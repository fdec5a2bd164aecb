"""Networks of this experiment, with tasks to train them on and tasks to compare meta-gradients by."""

from __future__ import annotations

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
from jaxmeta.training.on_device import make_update_loop
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
    rates = (0.001, 0.003, 0.01, 0.02)
    learner, optimizer = maml(perceptron(), squared_error, optax.sgd(rates[-2]), 5, mixed_mode()), optax.adam(1e-3)
    before = init_state(learner, optimizer, key, episodes.support.inputs[0])
    loop = make_update_loop(make_update(learner, optimizer), lambda key: sinusoid_tasks(key, 25, 10, 10))
    after, _ = loop(before, key, updates)
    weights = {"at initialisation": (before.params, before.state), "after training": (after.params, after.state)}
    return Problem("sinusoids", perceptron(), squared_error, episodes, weights, rates, (1, 5, 20, 50), 10.0)


def words(tasks: int, updates: int, seed: int) -> Problem:
    """A small word network on 5-way 1-shot tasks of the built-in synthesised words."""
    corpora = load_words([], invented=0, seed=seed)
    train = task_sampler(corpora.train, WAYS, [(SHOTS, QUERIES, 4)], seed)
    (tested,) = corpora.test.values()
    test = task_sampler(tested.with_column("pool", "test"), WAYS, [(SHOTS, QUERIES, tasks)], seed)
    model, rates = residual(WAYS, width=16, frames=32), (0.01, 0.03, 0.1, 0.3)
    learner, optimizer = maml(model, cross_entropy, optax.sgd(rates[-2]), 5, mixed_mode()), optax.adam(2e-3)
    inputs = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), train(0).support.inputs)
    state = before = init_state(learner, optimizer, jax.random.key(seed), inputs)
    update = jax.jit(make_update(learner, optimizer))
    for step in range(updates):
        state, _ = update(state, train(step))
    weights = {"at initialisation": (before.params, before.state), "after training": (state.params, state.state)}
    return Problem("words", model, cross_entropy, test(0), weights, rates, (1, 5, 10), 1.0)
