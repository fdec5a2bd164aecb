"""The few-shot protocol: methods adapt to a few recordings of each of some new classes; each row is computed once."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxmeta
from jaxmeta import Batch, Episode, MetaLearner, Model
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.episodes import EpisodeSampler, episode_sampler
from jaxmeta.evaluation.embeddings import embed
from jaxmeta.evaluation.result_cache import ResultCache, params_digest
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import accuracy, mean_interval
from jaxmeta.progress import Advance, current, progress_bar
from jaxmeta.training import make_evaluate
from jaxmeta.training.report import markdown_table, source_digest, write_results
from jaxmeta.types import PyTree

TASKS = 25
"""Episodes of a batch."""
DIVERGED = 10
"""Times the loss of a uniform guess above which an episode has diverged."""
_METRICS = {"accuracy": accuracy, "loss": cross_entropy}
_COLUMNS = {
    "corpus": "", "method": "", "shots": "d", "steps": "d", "accuracy": ".1f", "ci95": ".1f", "episodes": "d",
    "diverged": ".3f", "transductive": "", "training_minutes": ".1f",
}  # fmt: skip
Build = Callable[[int, int], MetaLearner]
"""(ways, steps) -> the learner; params fit any number of steps, and any number of ways where there is no head."""


class Method(NamedTuple):
    """Something to evaluate: a learner for any episode, and the params it starts from."""

    name: str
    build: Build
    params: PyTree
    state: PyTree
    steps: int
    folder: Path
    """Where its rows are kept, so that none is computed twice."""
    training_seconds: float = 0.0
    """Of meta-training, without that of what it started from."""
    encoder: tuple[Model, PyTree] | None = None
    """What the method sees of a recording, and its params: the same in every episode, so that each recording is encoded
    once, and the learner is built for the result. None: recordings as they are."""


class Protocol(NamedTuple):
    """How methods are tested."""

    ways: int
    """Classes of an episode."""
    queries: int
    """Recordings of each class to recognise."""
    episodes: int
    seed: int
    norm: str
    """Of the networks; with "transductive" a query set sees its own statistics, and rows say so."""


class Test(NamedTuple):
    """What a row of results is about."""

    method: Method
    name: str
    """Of the corpus."""
    corpus: Corpus
    shots: int
    steps: int


def tests(methods: Sequence[Method], tested: Mapping[str, Corpus], shots: Sequence[int]) -> list[Test]:
    """Every method on every corpus with every number of shots, in the order of a table."""
    return [
        Test(method, name, corpus, each, method.steps)
        for name, corpus in tested.items()
        for each in shots
        for method in methods
    ]


def evaluate(tests: Sequence[Test], protocol: Protocol) -> list[dict]:
    """A row of results for each test: accuracy in percent with its 95 % interval over episodes.

    Rows are kept in the method's folder under everything that they depend on, the source code included. On a CPU there
    are as many tests at a time as it has cores, for one test keeps hardly more than one of them busy.
    """
    code = source_digest(jaxmeta)
    caches = {test.method.folder: ResultCache(test.method.folder) for test in tests}
    keys = [
        [test.method.name, params_digest((test.method.params, test.method.state)), test.name, test.corpus.fingerprint,
         len(test.corpus), test.shots, test.steps, *protocol, code]
        for test in tests
    ]  # fmt: skip
    todo = [index for index, test in enumerate(tests) if keys[index] not in caches[test.method.folder]]
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
            caches[test.method.folder].get(keys[index], lambda: _row(test, encoding, protocol, advance))

        list(pool.map(row, todo))
    return [caches[test.method.folder].get(key, dict) for test, key in zip(tests, keys, strict=True)]


def check_feasible(tested: Mapping[str, Corpus], shots: Sequence[int], protocol: Protocol) -> None:
    """Find out before training whether the episodes can be drawn.

    Raises:
      ValueError: a corpus has too few classes or recordings; the largest feasible episode is named.
    """
    for name, corpus in tested.items():
        for each in shots:
            try:
                _sampler(corpus, each, protocol)
            except ValueError as error:
                raise ValueError(f"test episodes of {name}: {error} Set ways, shots or queries accordingly.") from error


def write_report(
    folder: Path, rows: Sequence[Mapping[str, Any]], run: Mapping[str, Any], beside: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Write results.md (the table and the command) and results.json (rows and stamp), and return the table.

    Args:
      folder: made if missing.
      rows: of `evaluate`.
      run: as `training.report.stamp` gives it.
      beside: rows that results.json holds, too, and the table does not.
    """
    text = markdown_table(rows, _COLUMNS)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(f"{text}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
    print(f"written to {write_results(folder, [*rows, *beside], run).parent}", file=sys.stderr)
    return text


def _cost(test: Test) -> tuple[bool, int]:
    """Sorts tests by the time that they take."""
    return test.method.encoder is None, test.shots * (1 + test.steps)


def _encodings(tests: Sequence[Test], pool: ThreadPoolExecutor) -> dict[tuple[str, str], np.ndarray]:
    """(method, corpus) -> all recordings as the method's encoder gives them [R, D], where it has one."""
    wanted = {
        (test.method.name, test.name): (*test.method.encoder, test.corpus)
        for test in tests
        if test.method.encoder is not None
    }
    return dict(zip(wanted, pool.map(lambda arguments: embed(*arguments), wanted.values()), strict=True))


def _row(test: Test, encoding: np.ndarray | None, protocol: Protocol, advance: Advance) -> dict:
    method, sampler = test.method, _sampler(test.corpus, test.shots, protocol)
    # On a CPU one task at a time: a task's own kernels are then ordinary matrices. What is encoded has no kernels.
    microbatch = 1 if jax.default_backend() == "cpu" and encoding is None else None
    run = jax.jit(make_evaluate(method.build(protocol.ways, test.steps), _METRICS, microbatch=microbatch))
    batches = []
    for index in range(-(-protocol.episodes // TASKS)):
        key = jax.random.fold_in(jax.random.key(protocol.seed), index)
        episodes = sampler(index) if encoding is None else encoded_episodes(sampler, index, encoding)
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


def _sampler(corpus: Corpus, shots: int, protocol: Protocol) -> EpisodeSampler:
    return episode_sampler(
        corpus, ways=protocol.ways, shots=shots, queries=protocol.queries, tasks=TASKS,
        seed=protocol.seed, buckets=2,
    )  # fmt: skip


def encoded_episodes(sampler: EpisodeSampler, index: int, encoding: np.ndarray) -> Episode:
    """The batch `index` of the sampler, whose inputs are encoded recordings [tasks, N, D]."""

    def batch(rows: np.ndarray) -> Batch:
        targets = np.repeat(np.arange(sampler.ways, dtype=np.int32), rows.shape[1] // sampler.ways)
        weight: Any = np.ones(rows.shape, np.float32)
        return Batch(encoding[rows], np.tile(targets, (len(rows), 1)), weight)

    support, query = sampler.rows(index)
    return Episode(batch(support), batch(query))
