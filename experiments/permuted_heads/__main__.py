"""Does it matter to MAML which class of a task its head calls the first?

    JAXMETA_DATA=DIR python -m experiments.permuted_heads --embedding google_speech_embedding.safetensors

MAML learns a head whose classes start from vectors of their own, and a task's words are assigned to them at random. On
frozen embeddings of words, each test task is adapted to in all 120 orders of its five words. Accuracies of the orders
stand beside the one of UNICORN-MAML, whose classes all start from one vector, and the one of logits averaged over
orders. Inner rates are chosen on validation words. Writes results.json, results.md and permuted_heads.png.
Source: Ye and Chao 2022 (arXiv 2106.16245), sections 5 and 6.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from jaxmeta.types import Batch, MetaLearner
    from jaxmeta.words.embedded.stages import Episodes, Stage

LEARNERS = ("maml", "unicorn_maml")
RATES, STEPS, META_RATE = (0.02, 0.1, 0.5), 5, 1e-3
"""Inner rates to choose from, inner steps, and the rate of Adam."""
CHUNK = 10
"""Episodes that are adapted to at once, in all orders."""


@dataclass(frozen=True)
class Config:
    """Orders of classes."""

    embedding: Path
    """A file of Google's speech embedding, or a Whisper folder."""
    updates: int = 300
    """Of meta-training."""
    episodes: int = 60
    """Of each test."""
    shots: tuple[int, ...] = (1, 5)
    """Recordings of a word to adapt to."""
    seeds: int = 3
    """Trainings of each learner."""
    seed: int = 0
    """Of the episodes."""
    workdir: Path = Path("runs/permuted_heads")
    """For results.json, results.md and the picture."""


def main(config: Config) -> dict[str, Any]:
    """Choose rates, train, test in all orders, and write the results; returns what results.json holds.

    Raises:
      ValueError: no corpora under JAXMETA_DATA.
    """
    import numpy as np

    from jaxmeta.data.word_corpora import find_corpora
    from jaxmeta.training.report import stamp, write_tables
    from jaxmeta.words.embedded.embeddings import open_embedding
    from jaxmeta.words.embedded.stages import load_embedded, stage_of_search, stage_of_test

    words = load_embedded([open_embedding(config.embedding)], find_corpora(), None, config.seed)
    search = stage_of_search(words, config.shots, 100, config.seed)
    test = stage_of_test(words, config.shots, config.episodes, config.seed)
    scores: dict[str, dict[str, Orders]] = {}
    rates = {}
    for name in LEARNERS:
        rates[name] = chosen_rate(name, search, config.updates)
        print(f"{name}: inner rate {rates[name]}", file=sys.stderr)
        for seed in range(config.seeds):
            params = train(name, rates[name], test, config.updates, seed)
            for title, episodes in test.episodes.items():
                each = orders(name, rates[name], params, test, episodes)
                before = scores.setdefault(name, {}).get(title)
                scores[name][title] = each if before is None else Orders(
                    *(np.concatenate(pair) for pair in zip(before, each, strict=True))
                )  # fmt: skip
    rows = table(scores, rates, config)
    draw(config.workdir / "permuted_heads.png", scores, config.seeds)
    return write_tables(config.workdir, as_markdown(rows), rows, stamp(config.seed, sys.argv, words[0].fingerprints))


class Orders(NamedTuple):
    """Accuracies in percent of E episodes, of all seeds one after another."""

    each: np.ndarray
    """[E, 120] of every order of the classes."""
    averaged: np.ndarray
    """[E] of probabilities averaged over orders."""


def make(name: str, rate: float) -> MetaLearner:
    """A learner of a projection of the embedding, and a head that is drawn at random before training."""
    import optax

    import jaxmeta as jm
    from jaxmeta.losses import cross_entropy
    from jaxmeta.words.embedded.networks import projection
    from jaxmeta.words.embedded.programs import WAYS

    inner = cross_entropy, optax.sgd(rate), STEPS
    if name == "maml":
        return jm.maml(projection(WAYS, head_scale=1.0), *inner, jm.mixed_mode())
    return jm.unicorn_maml(projection(), *inner, WAYS, jm.mixed_mode())


def batch(stage: Stage, rows: Any, per_word: int) -> Batch:
    """Rows [B, WAYS * R], by class, as a batch of each task, of which the first `per_word` of each class count."""
    import numpy as np

    from jaxmeta.types import Batch
    from jaxmeta.words.embedded.programs import WAYS

    each = rows.shape[1] // WAYS
    weight = np.broadcast_to(np.tile(np.arange(each) < per_word, WAYS), rows.shape)
    targets = np.broadcast_to(np.repeat(np.arange(WAYS), each), rows.shape)
    arrays: Any = stage.vectors[rows], targets, weight.astype(np.float32)
    return Batch(*arrays)


class Programs(NamedTuple):
    """What is compiled for a learner and its inner rate."""

    begin: Callable
    """(key, inputs) -> the state before training."""
    update: Callable
    """(train state, episodes) -> (train state, metrics)."""
    probabilities: Callable
    """(params, episodes, orders [P, WAYS]) -> [E, P, M, WAYS] of queries, classes in the order as they come."""


@functools.cache
def programs(name: str, rate: float) -> Programs:
    """Programs of a learner; nothing is compiled before they are called."""
    import jax
    import optax

    from jaxmeta.training import init_state, make_update

    learner, optimizer = make(name, rate), optax.chain(optax.clip_by_global_norm(5.0), optax.adam(META_RATE))

    def each(params, episodes, orders):
        def one(episode, order):
            key, support = jax.random.key(0), episode.support
            fast, _ = learner.adapt(params, {}, support._replace(targets=order[support.targets]), key)
            logits, _ = learner.predict(params, {}, fast, episode.query.inputs, key, False)
            return jax.nn.softmax(logits)[:, order]

        return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(episodes, orders)

    update = jax.jit(make_update(learner, optimizer))
    return Programs(functools.partial(init_state, learner, optimizer), update, jax.jit(each))


def train(name: str, rate: float, stage: Stage, updates: int, seed: int) -> Any:
    """Params after meta-training on tasks of one and of five recordings a word, in turns."""
    import jax
    import numpy as np

    from jaxmeta.types import Episode
    from jaxmeta.words.embedded.programs import QUERIES, WAYS

    own, tasks = programs(name, rate), stage.tasks[WAYS]
    state = own.begin(jax.random.key(seed), stage.vectors[:WAYS])
    order = np.random.default_rng(seed).permutation(len(tasks.support))
    for step in range(updates):
        here = order[step % len(order)]
        episodes = Episode(
            batch(stage, tasks.support[here], (1, 5)[step % 2]), batch(stage, tasks.query[here], QUERIES)
        )
        state, _ = own.update(state, episodes)
    return state.params


def chosen_rate(name: str, stage: Stage, updates: int) -> float:
    """The inner rate of the best mean accuracy on validation words and speakers, in the order as it comes."""

    def accuracy(rate: float) -> float:
        params = train(name, rate, stage, updates, 0)
        means = [orders(name, rate, params, stage, each, count=1).each.mean() for each in stage.episodes.values()]
        return sum(means) / len(means)

    return max(RATES, key=accuracy)


def orders(name: str, rate: float, params: Any, stage: Stage, episodes: Episodes, count: int | None = None) -> Orders:
    """Accuracies of all orders of the classes, or of the first `count` of them; all are alike to UNICORN-MAML."""
    import numpy as np

    from jaxmeta.types import Episode
    from jaxmeta.words.embedded.programs import TEST_QUERIES, WAYS

    permutations = np.array(list(itertools.permutations(range(WAYS))))[: 1 if name == "unicorn_maml" else count]
    truth, parts = np.repeat(np.arange(WAYS), TEST_QUERIES), []
    for start in range(0, len(episodes.support), CHUNK):
        support, query = (rows[start : start + CHUNK] for rows in episodes[:2])
        given = Episode(batch(stage, support, episodes.shots), batch(stage, query, TEST_QUERIES))
        chances = np.asarray(programs(name, rate).probabilities(params, given, permutations))
        averaged = chances.mean(1).argmax(-1) == truth
        parts.append(Orders(100 * (chances.argmax(-1) == truth).mean(-1), 100 * averaged.mean(-1)))
    return Orders(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def table(scores: Mapping[str, Mapping[str, Orders]], rates: Mapping[str, float], config: Config) -> list[dict]:
    """Rows: the mean order with its interval over episodes, the worst and the best, and averaged probabilities."""
    from jaxmeta.metrics import mean_interval

    rows = []
    for name, tests in scores.items():
        for title, each in tests.items():
            parts = each.each.mean(1), each.each.min(1), each.each.max(1), each.averaged
            means = [over_seeds(part, config.seeds) for part in parts]
            row = {"learner": name, "test": title, "inner rate": rates[name]}
            for column, values in zip(("mean order", "worst", "best", "averaged"), means, strict=True):
                mean, half = mean_interval(values)
                row[column] = f"{mean:.1f} ± {half:.1f}"
            rows.append(row)
    return rows


def over_seeds(values: np.ndarray, seeds: int) -> np.ndarray:
    """Means over seeds of values [seeds * E, ...]: seeds have the same episodes, and intervals are over episodes."""
    return values.reshape(seeds, -1, *values.shape[1:]).mean(0)


def as_markdown(rows: list[dict]) -> str:
    """The rows as one table."""
    from jaxmeta.training.report import markdown_table

    return markdown_table(rows, list(rows[0]))


def draw(path: Path, scores: Mapping[str, Mapping[str, Orders]], seeds: int) -> None:
    """Accuracy by the rank of an order, from the best to the worst one of each episode; a panel for each test."""
    import importlib.util

    import numpy as np

    from jaxmeta.metrics import mean_interval

    if importlib.util.find_spec("matplotlib") is None:
        print("no picture: pip install 'jaxmeta[plot]'", file=sys.stderr)
        return
    from matplotlib.figure import Figure

    titles = list(scores["maml"])
    figure = Figure(figsize=(3.2 * len(titles), 3), layout="constrained")
    for axes, title in zip(figure.subplots(1, len(titles), squeeze=False)[0], titles, strict=True):
        for color, name in enumerate(LEARNERS):
            ranked = over_seeds(-np.sort(-scores[name][title].each, axis=1), seeds)
            mean, half = np.array([mean_interval(column) for column in ranked.T]).T
            rank = np.arange(1, len(mean) + 1) if len(mean) > 1 else np.array([1, 120])
            mean, half = (np.broadcast_to(each, rank.shape) for each in (mean, half))
            axes.plot(rank, mean, color=f"C{color}", label=name)
            axes.fill_between(rank, mean - half, mean + half, color=f"C{color}", alpha=0.2)
        axes.axhline(scores["maml"][title].averaged.mean(), color="C0", linestyle=":", label="maml, orders averaged")
        axes.set(title=title, xlabel="order of the classes, best first", ylabel="accuracy (%)")
        axes.title.set_fontsize(9)
    figure.axes[0].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.permuted_heads", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
