"""Compiled programs of a recipe: training on tasks that were drawn before, and accuracies of episodes.

Settings are arguments of the programs, so that a search compiles nothing anew, but for those that a recipe fixes.
Vectors and tasks are arguments, too.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax
from jax import numpy as jnp

from jaxmeta.evaluation.comparison.search import Settings
from jaxmeta.metrics import accuracy
from jaxmeta.training import TrainState, init_state, make_evaluate, make_update
from jaxmeta.types import Array, Batch, Episode, MetaLearner, PyTree
from jaxmeta.words.embedded.recipes import Recipe

WAYS, SHOTS, QUERIES, TEST_QUERIES = 5, 5, 5, 15
"""Classes of a test episode; recordings of a class in a support set, in a query set of training, and of testing."""


class Tasks(NamedTuple):
    """Training tasks as rows of vectors."""

    support: Array
    """[U, B, ways * SHOTS], by class."""
    query: Array
    """[U, B, ways * QUERIES]."""


class Programs(NamedTuple):
    """What is compiled for a recipe."""

    begin: Callable[..., TrainState]
    """(settings, vectors, number of training words, seed) -> the state before training."""
    train: Callable[..., TrainState]
    """(train state, settings, vectors, words [R], tasks, updates) -> the state after so many updates."""
    score: Callable[..., Array]
    """(train state, settings, vectors, support rows [E, N], query rows [E, M], shots) -> accuracies [E]."""


def programs(recipe: Recipe, fixed: Mapping[str, Any]) -> Programs:
    """Programs of a recipe; nothing is compiled before they are called.

    Args:
      recipe: of a learner.
      fixed: name and value of each setting that the recipe fixes, whatever the settings say that are arguments.
    """

    def build(settings: Settings, ways: int) -> MetaLearner:
        return recipe.build(settings._replace(**fixed), ways)

    def begin(settings: Settings, vectors: Array, words: int, seed: int) -> TrainState:
        learner = build(settings, words if recipe.words else recipe.ways)
        return init_state(learner, outer_optimizer(settings, 1), jax.random.key(seed), vectors[: recipe.ways])

    @jax.jit
    def train(state: TrainState, settings: Settings, vectors: Array, words: Array, tasks: Tasks, updates: Array):
        update = make_update(build(settings, recipe.ways), outer_optimizer(settings, updates))

        def step(index: Array, state: TrainState) -> TrainState:
            here = jax.tree.map(lambda rows: rows[index % len(rows)], tasks)
            shots = jnp.where(index % 2, SHOTS, 1)
            return update(state, _episodes(vectors, here, recipe, words, shots))[0]

        return jax.lax.fori_loop(0, updates, step, state)

    @jax.jit
    def score(state: TrainState, settings: Settings, vectors: Array, support: Array, query: Array, shots: Array):
        params = with_new_head(state.params) if recipe.words else state.params
        evaluate = make_evaluate(build(settings, WAYS), {"accuracy": accuracy})
        episodes = Episode(_batch(vectors, support, WAYS, shots), _batch(vectors, query, WAYS))
        return evaluate(params, state.state, episodes, jax.random.key(0))["accuracy"]

    return Programs(begin, train, score)


def outer_optimizer(settings: Settings, updates: Array | int) -> optax.GradientTransformation:
    """Adam with clipped gradients, whose rate falls along a cosine to the share of it that the settings leave."""

    def rate(count: Array) -> Array:
        fallen = 0.5 - 0.5 * jnp.cos(jnp.pi * jnp.minimum(count / updates, 1))
        return -settings.outer_rate * (1 - settings.annealing * fallen)

    return optax.chain(
        optax.clip_by_global_norm(5.0), optax.scale_by_adam(b2=0.99), optax.scale_by_schedule(rate)
    )  # fmt: skip


def _episodes(vectors: Array, tasks: Tasks, recipe: Recipe, words: Array, shots: Array) -> Episode:
    query = _batch(vectors, tasks.query, recipe.ways)
    if recipe.words:
        query = query._replace(targets=words[tasks.query])
    return Episode(_batch(vectors, tasks.support, recipe.ways, shots), query)


def _batch(vectors: Array, rows: Array, ways: int, shots: Array | int | None = None) -> Batch:
    """Rows [B, N], by class, as a batch for each of B tasks; of the recordings of a class, the first `shots` count."""
    each = rows.shape[1] // ways
    targets = jnp.broadcast_to(jnp.repeat(jnp.arange(ways), each), rows.shape)
    counts = jnp.ones(each) if shots is None else (jnp.arange(each) < shots).astype(jnp.float32)
    return Batch(vectors[rows], targets, jnp.broadcast_to(jnp.tile(counts, ways), rows.shape))


def with_new_head(params: PyTree) -> PyTree:
    """A classifier of all training words with a head of zeros for the words of an episode."""
    head = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-1], WAYS), leaf.dtype), params["head"])
    return params | {"head": head}
