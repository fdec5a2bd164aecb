"""How the methods of the spoken-words experiment are tested: rows of results, each computed once."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

import experiments
import jaxmeta
from experiments.spoken_words.embeddings import embed
from experiments.spoken_words.methods import Method
from jaxmeta import Batch, Episode
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.episodes import EpisodeSampler, episode_sampler
from jaxmeta.evaluation.result_cache import ResultCache, params_digest
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import accuracy, mean_interval
from jaxmeta.progress import Advance, current, progress_bar
from jaxmeta.training import make_evaluate
from jaxmeta.training.report import source_digest

TASKS = 25
"""Episodes of a batch."""
DIVERGED = 10
"""Times the loss of a uniform guess above which an episode has diverged."""
_METRICS = {"accuracy": accuracy, "loss": cross_entropy}


class Protocol(NamedTuple):
    """How methods are tested."""

    ways: int
    queries: int
    episodes: int
    seed: int
    norm: str


class Test(NamedTuple):
    """What a row of results is about."""

    method: Method
    name: str
    """Of the corpus."""
    corpus: Corpus
    shots: int
    steps: int


def evaluate(tests: Sequence[Test], protocol: Protocol) -> list[dict]:
    """A row of results for each test: accuracy in percent with its 95 % interval over episodes.

    Rows are kept in the method's folder under everything that they depend on, the source code included. On a CPU there
    are as many tests at a time as it has cores, for one test keeps hardly more than one of them busy.
    """
    code = source_digest(jaxmeta, experiments)
    kept = {test.method.folder: ResultCache(test.method.folder) for test in tests}
    keys = [
        [test.method.name, params_digest((test.method.params, test.method.state)), test.name, test.corpus.fingerprint,
         len(test.corpus), test.shots, test.steps, *protocol, code]
        for test in tests
    ]  # fmt: skip
    todo = [index for index, test in enumerate(tests) if keys[index] not in kept[test.method.folder]]
    todo.sort(key=lambda index: _cost(tests[index]), reverse=True)  # so that no core waits for a long one at the end
    workers = (os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1
    with (
        progress_bar(current("testing"), len(todo) * protocol.episodes, unit="episodes", compiles=True) as advance,
        ThreadPoolExecutor(workers) as pool,
    ):
        encodings = _encodings([tests[index] for index in todo], pool)

        def row(index: int) -> None:
            test = tests[index]
            encoding = encodings.get((test.method.name, test.name))
            kept[test.method.folder].get(keys[index], lambda: _row(test, encoding, protocol, advance))

        list(pool.map(row, todo))
    return [kept[test.method.folder].get(key, dict) for test, key in zip(tests, keys, strict=True)]


def _cost(test: Test) -> tuple[bool, int]:
    """Sorts tests by the time that they take."""
    return test.method.encoder is None, test.shots * (1 + test.steps)


def _encodings(tests: Sequence[Test], pool: ThreadPoolExecutor) -> dict[tuple[str, str], np.ndarray]:
    """(method, corpus) -> all recordings as the method's encoder gives them [R, D], where it has one."""
    wanted = {(test.method.name, test.name): test for test in tests if test.method.encoder is not None}
    return dict(
        zip(wanted, pool.map(lambda test: embed(*test.method.encoder, test.corpus), wanted.values()), strict=True)
    )


def _row(test: Test, encoding: np.ndarray | None, protocol: Protocol, advance: Advance) -> dict:
    method, sampler = test.method, _sampler(test, protocol)
    # On a CPU one task at a time: a task's own kernels are then ordinary matrices. What is encoded has no kernels.
    microbatch = 1 if jax.default_backend() == "cpu" and encoding is None else None
    run = jax.jit(make_evaluate(method.build(protocol.ways, test.steps), _METRICS, microbatch=microbatch))
    batches = []
    for index in range(-(-protocol.episodes // TASKS)):
        key = jax.random.fold_in(jax.random.key(protocol.seed), index)
        episodes = sampler(index) if encoding is None else _encoded(sampler, index, encoding)
        batches.append(jax.tree.map(np.asarray, run(method.params, method.state, episodes, key)))
        advance(min(TASKS, protocol.episodes - index * TASKS))
    scores = {metric: np.concatenate([batch[metric] for batch in batches])[: protocol.episodes] for metric in _METRICS}
    mean, half = mean_interval(100 * scores["accuracy"])
    # Finite but as wrong as this: the inner steps left the region where they help.
    diverged = ~(scores["loss"] <= DIVERGED * np.log(protocol.ways))
    return {
        "corpus": test.name, "method": method.name, "ways": protocol.ways, "shots": test.shots,
        "queries": protocol.queries, "steps": test.steps, "accuracy": mean, "ci95": half, "episodes": protocol.episodes,
        "diverged": float(diverged.mean()), "transductive": protocol.norm == "transductive",
        "training_minutes": method.training_seconds / 60,
    }  # fmt: skip


def _sampler(test: Test, protocol: Protocol) -> EpisodeSampler:
    return episode_sampler(
        test.corpus, ways=protocol.ways, shots=test.shots, queries=protocol.queries, tasks=TASKS,
        seed=protocol.seed, buckets=2,
    )  # fmt: skip


def _encoded(sampler: EpisodeSampler, index: int, encoding: np.ndarray) -> Episode:
    """The batch `index` of the sampler, whose inputs are encoded recordings [tasks, N, D]."""

    def batch(rows: np.ndarray) -> Batch:
        targets = np.repeat(np.arange(sampler.ways, dtype=np.int32), rows.shape[1] // sampler.ways)
        return Batch(encoding[rows], np.tile(targets, (len(rows), 1)), np.ones(rows.shape, np.float32))

    support, query = sampler.rows(index)
    return Episode(batch(support), batch(query))
