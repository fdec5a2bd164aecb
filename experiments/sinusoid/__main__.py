"""Can meta-learned initial weights fit a sinusoid from ten points in a few gradient steps?

    python -m experiments.sinusoid                      # five seeds, three minutes on two cores
    python -m experiments.sinusoid --preset quick       # a smoke test of 10 seconds; its numbers mean nothing

Expected: a median over seeds of the mean squared error on new tasks of at most 0.45 / 0.17 / 0.13 after 1 / 5 / 10
gradient steps (seen: 0.34 / 0.13 / 0.11), in under a minute a seed.
Source: Finn et al. 2017 (arXiv 1703.03400), section 5.1. Differs: the initial weights are linen's (LeCun normal).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:  # JAX is imported where it is used, so that --help is quick
    import optax

    from jaxmeta.training import TrainState
    from jaxmeta.types import Array, Episode, Key, MetaLearner

Name = Literal[
    "maml", "fomaml", "reptile", "anil", "boil", "meta_sgd", "maml_plus_plus", "meta_curvature", "imaml", "cavia",
    "bootstrapped", "evolved", "averaging", "progressive", "r2d2",
]  # fmt: skip
TESTED_STEPS = (0, 1, 5, 10)
DIVERGED = 100.0  # mean squared error; predicting 0 has at most 12.5 on any task
_CHUNK = 500  # updates in one call of the compiled loop, between two rows of metrics


@dataclass(frozen=True)
class Config:
    """What is trained, and how it is tested."""

    preset: Literal["full", "quick"] = "full"
    """Sets iterations, seeds and test-tasks where they are not given: quick is 300, 2 and 200."""
    learner: Name = "maml"
    estimator: Literal["unrolled", "first_order", "mixed_mode", "truncated"] | None = None
    """How the meta-gradient passes through the inner steps. None: the learner's own way."""
    exact_steps: int = 1
    """Last inner steps that are exact under the truncated estimator."""
    steps: int | None = None
    """Inner gradient steps in training. None: 1, or what the learner needs more of."""
    inner_rate: float | None = None
    """None: 0.01, or the learner's own."""
    meta_rate: float = 1e-3
    """Of Adam."""
    shots: int = 10
    """Points in a support set, and in a training query set."""
    tasks: int = 25
    """Tasks in an update."""
    iterations: int | None = None
    """Updates; full: 70000."""
    seed: int = 0
    """The first seed."""
    seeds: int | None = None
    """Number of seeds; full: 5."""
    test_tasks: int | None = None
    """New tasks of 100 query points, the same for every seed; full: 10000."""
    workdir: Path = Path("runs/sinusoid")
    """Logs, results and plots, in a folder for each learner."""


class Size(NamedTuple):
    """How long an experiment takes."""

    iterations: int
    seeds: int
    test_tasks: int


PRESETS = {"full": Size(70_000, 5, 10_000), "quick": Size(300, 2, 200)}


def main(config: Config) -> dict[str, Any]:
    """Train and test every seed; write results.json, results.md and plots; print the table.

    Returns:
      {"rows": one for each seed and number of steps, "summary": one for each number of steps, "run": the stamp}.
    """
    from jaxmeta.training import report

    size = _size(config)
    config = replace(config, workdir=config.workdir / config.learner)
    advance, evaluate = make_advance(config), make_evaluations(config)
    rows, trained = [], []
    for seed in range(config.seed, config.seed + size.seeds):
        print(f"seed {seed}", file=sys.stderr)
        train, seconds = fit(config, advance, size.iterations, seed)
        trained.append(train)
        rows += [row | {"seconds": seconds} for row in test(config, evaluate, train, size.test_tasks, seed)]
    summary = summarise(rows)
    columns = {
        "steps": "", "mse": ".3f", "ci95": ".3f", "lowest": ".3f", "highest": ".3f",
        "diverged": ".4f", "seconds": ".0f",
    }  # fmt: skip
    table = report.markdown_table(summary, columns)
    run = report.stamp(config.seed, sys.argv, {}) | {"config": vars(config), "summary": summary}
    path = report.write_results(config.workdir, rows, run)
    path.with_name("results.md").write_text(table, encoding="utf-8")
    plot_fits(config, trained[0])
    print(f"Mean squared error on {size.test_tasks} new tasks, median over {size.seeds} seeds:\n\n{table}\n{path}")
    return {"rows": rows, "summary": summary, "run": run}


def make_learner(config: Config, steps: int | None = None) -> MetaLearner:
    """The learner and the estimator of the config, with `steps` inner steps; None: those of training."""
    from experiments.sinusoid.methods import METHODS
    from jaxmeta import first_order, mixed_mode, truncated, unrolled

    method = METHODS[config.learner]
    steps = (method.steps if config.steps is None else config.steps) if steps is None else steps
    rate = method.rate if config.inner_rate is None else config.inner_rate
    estimators = {
        "unrolled": unrolled,
        "first_order": first_order,
        "mixed_mode": mixed_mode,
        "truncated": lambda: truncated(min(config.exact_steps, steps)),
    }
    return method.build(rate, steps, estimators[config.estimator]() if config.estimator else None)


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """The outer optimizer of the config's learner."""
    from experiments.sinusoid.methods import METHODS

    return METHODS[config.learner].outer(config.meta_rate, _size(config).iterations)


def sample_tasks(key: Key, tasks: int, shots: int, queries: int) -> Episode:
    """Points of y = a sin(x - p) with a ~ U[0.1, 5], p ~ U[0, pi], x ~ U[-5, 5]; leaves [tasks, points, 1]."""
    import jax
    import jax.numpy as jnp

    from jaxmeta import Batch, Episode

    keys = jax.random.split(key, 3)
    amplitude = jax.random.uniform(keys[0], (tasks, 1, 1), minval=0.1, maxval=5.0)
    phase = jax.random.uniform(keys[1], (tasks, 1, 1), maxval=jnp.pi)
    x = jax.random.uniform(keys[2], (tasks, shots + queries, 1), minval=-5.0, maxval=5.0)
    points = Batch(x, amplitude * jnp.sin(x - phase), jnp.ones(x.shape[:2]))
    return Episode(
        support=jax.tree.map(lambda leaf: leaf[:, :shots], points),
        query=jax.tree.map(lambda leaf: leaf[:, shots:], points),
    )


def make_advance(config: Config) -> Callable[[TrainState, Key, int], tuple[TrainState, Array]]:
    """A compiled `advance(train, key, count) -> (train, mean loss)`: `count` updates on tasks sampled on the device."""
    import jax

    from jaxmeta.training import make_update

    update = make_update(make_learner(config), make_optimizer(config))

    @jax.jit
    def advance(train: TrainState, key: Key, count: int) -> tuple[TrainState, Array]:
        def one(_: Array, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            train, total = carry
            episodes = sample_tasks(jax.random.fold_in(key, train.step), config.tasks, config.shots, config.shots)
            train, metrics = update(train, episodes)
            return train, total + metrics["loss"]

        # The count is an argument, so that a last chunk of another size does not compile again.
        train, total = jax.lax.fori_loop(0, count, one, (train, 0.0))
        return train, total / count

    return advance


def fit(config: Config, advance: Callable, iterations: int, seed: int) -> tuple[TrainState, float]:
    """Train from one seed; returns the seconds that it took too."""
    import jax
    import jax.numpy as jnp

    from jaxmeta.training import init_state
    from jaxmeta.training.runlog import RunLog, read_metrics

    key, tasks_key = jax.random.split(jax.random.key(seed))
    train = init_state(make_learner(config), make_optimizer(config), key, jnp.zeros((config.shots, 1)))
    with RunLog(config.workdir / f"seed_{seed}", iterations) as log:
        for step in range(0, iterations, _CHUNK):
            count = min(_CHUNK, iterations - step)
            train, loss = advance(train, tasks_key, count)
            log.write(step + count, {"loss": loss})
            log.progress(step + count)
    return train, read_metrics(config.workdir / f"seed_{seed}")[-1]["seconds"]


def make_evaluations(config: Config) -> dict[int, Callable]:
    """Number of inner steps -> compiled (params, state, episodes, key) -> {"mse": [tasks]}."""
    import jax

    from jaxmeta.losses import squared_error
    from jaxmeta.training import make_evaluate

    return {
        steps: jax.jit(make_evaluate(make_learner(config, steps), {"mse": squared_error})) for steps in TESTED_STEPS
    }


def test(
    config: Config, evaluate: Mapping[int, Callable], train: TrainState, tasks: int, seed: int
) -> list[dict[str, Any]]:
    """The mean squared error on new tasks, with its 95 % interval and the fraction of tasks that diverged."""
    import jax
    import numpy as np

    from jaxmeta.metrics import mean_interval

    key = jax.random.key(2**31 - 1)  # no seed's, and the same tasks for all of them
    episodes = sample_tasks(key, tasks, config.shots, 100)
    rows = []
    for steps, score in evaluate.items():
        errors = np.asarray(score(train.params, train.state, episodes, key)["mse"], np.float64)
        with np.errstate(invalid="ignore"):  # a task that went to infinity leaves no interval
            mean, half = mean_interval(errors)
        diverged = float(np.mean(~(errors <= DIVERGED)))
        what: dict[str, Any] = {"method": config.learner, "seed": seed, "shots": config.shots, "steps": steps}
        rows.append(what | {"mse": mean, "ci95": half, "diverged": diverged, "tasks": tasks})
    return rows


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Over seeds, for each number of steps: the median error and interval, the range, and the mean divergence."""
    import numpy as np

    def of(steps: int, name: str) -> np.ndarray:
        return np.nan_to_num([row[name] for row in rows if row["steps"] == steps], nan=np.inf, posinf=np.inf)

    return [
        {
            "steps": steps,
            "mse": float(np.median(of(steps, "mse"))),
            "ci95": float(np.median(of(steps, "ci95"))),
            "lowest": float(of(steps, "mse").min()),
            "highest": float(of(steps, "mse").max()),
            "diverged": float(of(steps, "diverged").mean()),
            "seconds": float(np.median(of(steps, "seconds"))),
            "seeds": len(of(steps, "mse")),
        }
        for steps in TESTED_STEPS
    ]


def plot_fits(config: Config, train: TrainState) -> None:
    """Draw fits_0.png to fits_2.png: a new task, its support points, and the prediction after 0, 1 and 10 steps."""
    import jax
    import numpy as np

    from jaxmeta.training import report

    key = jax.random.key(2**31 - 2)
    support, query = sample_tasks(key, 3, config.shots, 200)
    predictions = {}
    for steps in (0, 1, 10):
        learner = make_learner(config, steps)

        def predict(support, inputs, learner=learner):
            fast, _ = learner.adapt(train.params, train.state, support, key)
            return learner.predict(train.params, train.state, fast, inputs, key, False)[0]

        predictions[f"{steps} steps"] = jax.jit(jax.vmap(predict))(support, query.inputs)
    for task in range(3):
        order = np.argsort(query.inputs[task, :, 0])
        x = np.asarray(query.inputs)[task, order, 0]
        curves = {"truth": query.targets, **predictions}
        series = {name: (x, np.asarray(y)[task, order, 0], None) for name, y in curves.items()}
        points = {"support": (support.inputs[task, :, 0], support.targets[task, :, 0])}
        path, title = config.workdir / f"fits_{task}.png", f"A new sinusoid from {config.shots} points"
        report.plot_curves(path, series, "x", "y", title, points=points)


def _size(config: Config) -> Size:
    preset = PRESETS[config.preset]
    given = {name: getattr(config, name) for name in Size._fields}
    size = preset._replace(**{name: value for name, value in given.items() if value is not None})
    least = {"iterations": 1, "seeds": 1, "test_tasks": 2}
    for name, value in size._asdict().items():
        if value < least[name]:
            raise ValueError(f"{name} must be at least {least[name]}, got {value}.")
    if config.learner == "fomaml" and config.estimator not in (None, "first_order"):
        raise ValueError(f"fomaml is maml with first_order, got estimator={config.estimator!r}; use learner='maml'.")
    return size


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.sinusoid", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
