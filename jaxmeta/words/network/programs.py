"""Training of a learner of words for a number of updates, how many fit a second, and accuracies of test episodes."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.data.sampling.word_tasks import WordBatches, most_ways, task_sampler
from jaxmeta.evaluation.comparison.search import Settings
from jaxmeta.evaluation.embeddings import embed
from jaxmeta.evaluation.few_shot import encoded_episodes
from jaxmeta.evaluation.few_shot_baselines import encoded
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import accuracy
from jaxmeta.models.heads import Network
from jaxmeta.training import TrainState, make_evaluate, make_update
from jaxmeta.training.fit import Augment, augmented, initial_state, supervised
from jaxmeta.types import Episode, PyTree
from jaxmeta.words.embedded.programs import TEST_QUERIES, WAYS, outer_optimizer, with_new_head
from jaxmeta.words.network.recipes import Recipe, started

CLIPS = 160
"""Recordings of an update of a classifier."""
_TASKS = 25
"""Test episodes of a batch."""
_TIMED = 4
"""Updates that are timed."""


class Stage(NamedTuple):
    """Pooled recordings to train on and to be scored by, and the classifiers that training starts from."""

    train: Corpus
    words: int
    """Training words, the classes of the classifiers."""
    starts: Mapping[int, PyTree]
    """Seed -> params of a classifier."""
    tested: Mapping[str, Corpus]


class Programs(NamedTuple):
    """What is compiled for a recipe."""

    train: Callable[[Stage, Settings, int, int], TrainState]
    """(stage, settings, updates, seed) -> the state after training."""
    pace: Callable[[Stage, Settings], float]
    """Updates that fit a second of the processor, once they are compiled."""
    score: Callable[..., np.ndarray]
    """(train state, settings, corpus, shots, episodes, seed of the draw) -> accuracy in percent of each episode [E]."""


def programs(recipe: Recipe, network: Network, augment: Augment) -> Programs:
    """Programs of a recipe; nothing is compiled before they are called."""

    def learner(net: Network, settings: Settings, ways: int):
        return supervised(net(ways), cross_entropy) if recipe.classifier else recipe.build(net, settings, ways)

    def ways_of(stage: Stage) -> int:
        return stage.words if recipe.classifier else min(recipe.ways, most_ways(stage.train))

    def begin(stage: Stage, settings: Settings, seed: int) -> TrainState:
        start = stage.starts[seed]
        first = learner(started(network, start), settings, ways_of(stage))
        features = stage.train.frames.shape[1]
        params = start if recipe.classifier else None
        return initial_state(first, outer_optimizer(settings, 1), features, seed, params)

    def step(state: TrainState, settings: Settings, updates: Any, episodes: Episode, ways: int) -> TrainState:
        trained = augmented(learner(network, settings, ways), augment)
        return make_update(trained, outer_optimizer(settings, updates), microbatch=1)(state, episodes)[0]

    compiled = jax.jit(step, static_argnames="ways")

    def run(stage: Stage, settings: Settings, updates: int, seed: int, clock: Callable[[int], None]) -> TrainState:
        dynamic: Any = jax.tree.map(lambda value: jnp.asarray(float(value)), settings)
        state, ways = begin(stage, dynamic, seed), ways_of(stage)
        sampler = _sampler(recipe, stage.train, ways, seed)
        for index in range(updates):
            clock(index)
            state = jax.block_until_ready(compiled(state, dynamic, float(updates), sampler(index), ways=ways))
        return state

    def pace(stage: Stage, settings: Settings) -> float:
        times = []
        sizes = len(recipe.batches)
        run(stage, settings, sizes + _TIMED + 1, min(stage.starts), lambda index: times.append(time.process_time()))
        return _TIMED / (times[sizes + _TIMED] - times[sizes])

    return Programs(
        lambda stage, settings, updates, seed: run(stage, settings, updates, seed, lambda index: None),
        pace,
        _scorer(recipe, network),
    )


def _sampler(recipe: Recipe, corpus: Corpus, ways: int, seed: int) -> Callable[[int], Episode]:
    if recipe.classifier:
        return WordBatches(corpus, CLIPS, seed)
    return task_sampler(corpus, ways, recipe.batches, seed)


def _scorer(recipe: Recipe, network: Network) -> Callable[..., np.ndarray]:
    body = encoded if recipe.closed_form else network
    # One task at a time has ordinary matrices as its weights; what is encoded has no weights of its own.
    microbatch = 1 if jax.default_backend() == "cpu" and not recipe.closed_form else None

    @jax.jit
    def run(params: PyTree, state: PyTree, settings: Settings, episodes: Episode) -> jax.Array:
        evaluate = make_evaluate(recipe.build(body, settings, WAYS), {"accuracy": accuracy}, microbatch=microbatch)
        return evaluate(params, state, episodes, jax.random.key(0))["accuracy"]

    def score(
        state: TrainState, settings: Settings, corpus: Corpus, shots: int, episodes: int, seed: int
    ) -> np.ndarray:
        sampler = episode_sampler(
            corpus, ways=WAYS, shots=shots, queries=TEST_QUERIES, tasks=_TASKS, seed=seed, buckets=1
        )  # fmt: skip
        params = with_new_head(state.params) if recipe.classifier else state.params
        dynamic: Any = jax.tree.map(lambda value: jnp.asarray(float(value)), settings)
        vectors = embed(network(), params.get("encoder", params), corpus) if recipe.closed_form else None
        batches = [
            run(params, state.state, dynamic, sampler(index) if vectors is None else encoded_episodes(
                sampler, index, vectors))
            for index in range(-(-episodes // _TASKS))
        ]  # fmt: skip
        return 100 * np.concatenate(batches)[:episodes]

    return score
