"""Can meta-learned initial weights fit a sinusoid from ten points in a few gradient steps?

    python -m experiments.sinusoid                      # five seeds, three minutes on two cores
    python -m experiments.sinusoid --preset quick       # a smoke test of 10 seconds; its numbers mean nothing
    python -m experiments.sinusoid --published          # five learners beside published figures, three seeds; resumable

Expected: a median over seeds of the mean squared error on new tasks of at most 0.45 / 0.17 / 0.13 after 1 / 5 / 10
gradient steps (seen: 0.34 / 0.13 / 0.11), in under a minute a seed.
Source: Finn et al. 2017 (arXiv 1703.03400), section 5.1. Differs: the initial weights are linen's (LeCun normal).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # JAX is imported where it is used, so that --help is quick
    import optax

    from jaxmeta.training import TrainState
    from jaxmeta.types import MetaLearner

Name = Literal[
    "maml", "fomaml", "reptile", "anil", "boil", "meta_sgd", "maml_plus_plus", "meta_curvature", "imaml", "cavia",
    "bootstrapped", "evolved", "averaging", "progressive", "r2d2",
]  # fmt: skip
"""Every learner that can regress; `fomaml` is `maml` with first-order gradients."""
INNER_STEPS: dict[str, int] = {"reptile": 10, "maml_plus_plus": 5, "imaml": 100, "r2d2": 0}
"""Inner steps in training of learners that need more than 1, or none."""
TESTED_STEPS = (0, 1, 5, 10)  # besides those of training
DIVERGED = 100.0  # mean squared error; predicting 0 has at most 12.5 on any task
PRESETS = {"full": (70_000, 5, 10_000), "quick": (300, 2, 200)}
"""Iterations, seeds and test tasks."""
COLUMNS = {
    "steps": "", "mse": ".3f", "ci95": ".3f", "lowest": ".3f", "highest": ".3f", "diverged": ".4f", "seconds": ".0f",
}  # fmt: skip


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
    strength: float = 30.0
    """Pull to the initial weights, of iMAML."""
    solves: int = 20
    """Iterations of conjugate gradients in an update of iMAML."""
    meta_rate: float = 1e-3
    """Of Adam."""
    shots: int = 10
    """Points in a support set, and in a training query set."""
    frequencies: tuple[float, float] = (1.0, 1.0)
    """Least and most frequency of a sinusoid."""
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
    published: bool = False
    """Run the settings of published.py, whatever the other options say; a second run computes no seed twice."""
    workdir: Path = Path("runs/sinusoid")
    """Logs, results and plots, in a folder for each learner."""


def main(config: Config) -> dict[str, Any]:
    """Train and test every seed; write results.json, results.md and plots; print the table.

    Returns:
      {"rows": one for each seed and number of steps, "summary": one for each number of steps, "run": the stamp}.
    """
    from experiments.sinusoid.published import run_published
    from jaxmeta.learners.learned_rates import remark_on_steps
    from jaxmeta.training import report

    if config.published:
        return run_published(config)
    iterations, seeds, test_tasks = check_size(config)
    remark = remark_on_steps(config.learner, training_steps(config), TESTED_STEPS)
    config = replace(config, workdir=config.workdir / config.learner)
    run_seed = make_run(config, iterations, test_tasks)
    rows, trained = [], []
    for seed in range(config.seed, config.seed + seeds):
        print(f"seed {seed}", file=sys.stderr)
        train, own = run_seed(seed)
        trained.append(train)
        rows += own
    summary = summarise(rows)
    table = report.markdown_table(summary, COLUMNS)
    run = report.stamp(config.seed, sys.argv, {}) | {"config": vars(config), "summary": summary, "remark": remark}
    path = report.write_results(config.workdir, rows, run)
    path.with_name("results.md").write_text(table, encoding="utf-8")
    plot_fits(config, trained[0])
    print(f"Mean squared error on {test_tasks} new tasks, median over {seeds} seeds:\n\n{table}\n{path}")
    if remark:
        print(f"warning: {remark}", file=sys.stderr)
    return {"rows": rows, "summary": summary, "run": run}


def make_run(config: Config, iterations: int, test_tasks: int) -> Callable[[int], tuple[TrainState, list[dict]]]:
    """seed -> the trained state, and a row for each number of steps; programs are compiled once for all seeds."""
    import jax
    import jax.numpy as jnp

    from jaxmeta.data.sampling.sinusoids import sinusoid_tasks
    from jaxmeta.training import init_state, make_update
    from jaxmeta.training.on_device import fit_on_device, make_update_loop

    learner, optimizer, evaluate = make_learner(config), make_optimizer(config, iterations), make_evaluations(config)
    points = config.tasks, config.shots, config.shots, config.frequencies
    update_loop = make_update_loop(make_update(learner, optimizer), lambda key: sinusoid_tasks(key, *points))

    def run_seed(seed: int) -> tuple[TrainState, list[dict]]:
        key, tasks_key = jax.random.split(jax.random.key(seed))
        train = init_state(learner, optimizer, key, jnp.zeros((config.shots, 1)))
        train, seconds = fit_on_device(update_loop, train, iterations, tasks_key, config.workdir / f"seed_{seed}")
        return train, [row | {"seconds": seconds} for row in test(config, evaluate, train, test_tasks, seed)]

    return run_seed


def check_size(config: Config) -> list[int]:
    """Iterations, seeds and test tasks of the config, or else of its preset; raises ValueError where it cannot run."""
    size = []
    for name, least, own in zip(("iterations", "seeds", "test_tasks"), (1, 1, 2), PRESETS[config.preset], strict=True):
        given = getattr(config, name)
        size.append(value := own if given is None else given)
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}.")
    if config.learner == "fomaml" and config.estimator not in (None, "first_order"):
        raise ValueError(f"fomaml is maml with first_order, got estimator={config.estimator!r}; use learner='maml'.")
    return size


def training_steps(config: Config) -> int:
    """Inner steps in training."""
    return INNER_STEPS.get(config.learner, 1) if config.steps is None else config.steps


def make_learner(config: Config, steps: int | None = None) -> MetaLearner:
    """The learner and the estimator of the config, with `steps` inner steps; None: those of training."""
    import optax

    import jaxmeta as jm
    from jaxmeta.learners.cavia import append_context
    from jaxmeta.losses import squared_error
    from jaxmeta.models.perceptron import perceptron, perceptron_layers

    steps = training_steps(config) if steps is None else steps
    estimators = {
        "unrolled": jm.unrolled, "first_order": jm.first_order, "mixed_mode": jm.mixed_mode,
        "truncated": lambda: jm.truncated(min(config.exact_steps, steps)),
    }  # fmt: skip
    chosen = estimators[config.estimator]() if config.estimator else None
    exact = chosen or jm.unrolled()
    own_rate = {"cavia": 1.0, "imaml": 0.001}.get(config.learner, 0.01)
    rate = own_rate if config.inner_rate is None else config.inner_rate
    task = (perceptron(), squared_error)
    loop, learned_rates = (*task, optax.sgd(rate), steps), (*task, rate, steps)
    learners: dict[Name, Callable[[], MetaLearner]] = {
        "maml": lambda: jm.maml(*loop, exact),
        "fomaml": lambda: jm.maml(*loop, jm.first_order()),
        "reptile": lambda: jm.reptile(*loop),
        "anil": lambda: jm.anil(*loop, exact),
        "boil": lambda: jm.boil(*loop, exact),
        "meta_sgd": lambda: jm.meta_sgd(*learned_rates, exact),
        "maml_plus_plus": lambda: jm.maml_plus_plus(*learned_rates, exact, multi_step_updates=5000),
        "meta_curvature": lambda: jm.meta_curvature(*learned_rates, exact),
        "imaml": lambda: jm.imaml(*loop, config.strength, chosen or jm.implicit(jm.conjugate_gradients(config.solves))),
        "cavia": lambda: jm.cavia(append_context(perceptron()), *loop[1:], 5, exact),
        "bootstrapped": lambda: jm.bootstrapped(*loop, 5, rate, exact),
        "evolved": lambda: jm.evolved(jm.maml(*loop, jm.first_order()), sigma=0.02, pairs=4),
        "averaging": lambda: jm.averaging(jm.maml(*loop, exact), members=3, space="output"),
        "progressive": lambda: jm.progressive(perceptron_layers(), *loop[1:], exact),
        "r2d2": lambda: jm.r2d2(perceptron(outputs=None), squared_error),
    }
    return learners[config.learner]()


def make_optimizer(config: Config, iterations: int) -> optax.GradientTransformation:
    """Adam; with clipped gradients along a cosine where rates are learned for several steps, for they may explode."""
    import optax

    from jaxmeta.learners.learned_rates import LEARNING_RATES

    if config.learner not in LEARNING_RATES or training_steps(config) == 1:
        return optax.adam(config.meta_rate)
    schedule = optax.cosine_decay_schedule(config.meta_rate, iterations, alpha=0.01)
    return optax.chain(optax.clip_by_global_norm(10.0), optax.adam(schedule))


def make_evaluations(config: Config) -> dict[int, Callable]:
    """Number of inner steps -> compiled (params, state, episodes, key) -> {"mse": [tasks]}."""
    import jax

    from jaxmeta.losses import squared_error
    from jaxmeta.training import make_evaluate

    return {
        steps: jax.jit(make_evaluate(make_learner(config, steps), {"mse": squared_error}))
        for steps in sorted({*TESTED_STEPS, training_steps(config)})
    }


def test(
    config: Config, evaluate: Mapping[int, Callable], train: TrainState, tasks: int, seed: int
) -> list[dict[str, Any]]:
    """The mean squared error on new tasks, with its 95 % interval and the fraction of tasks that diverged."""
    import jax
    import numpy as np

    from jaxmeta.data.sampling.sinusoids import sinusoid_tasks
    from jaxmeta.metrics import mean_interval

    key = jax.random.key(2**31 - 1)  # no seed's, and the same tasks for all of them
    episodes = sinusoid_tasks(key, tasks, config.shots, 100, config.frequencies)
    rows = []
    for steps, score in evaluate.items():
        errors = np.asarray(score(train.params, train.state, episodes, key)["mse"], np.float64)
        with np.errstate(invalid="ignore"):  # a task that went to infinity leaves no interval
            mean, half = mean_interval(errors)
        scores = {"mse": mean, "ci95": half, "diverged": float(np.mean(~(errors <= DIVERGED))), "tasks": tasks}
        rows.append({"method": config.learner, "seed": seed, "shots": config.shots, "steps": steps} | scores)
    return rows


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Over seeds, for each number of steps: the median error and interval, the range, and the mean divergence."""
    import numpy as np

    summary = []
    for steps in sorted({row["steps"] for row in rows}):
        own = [row for row in rows if row["steps"] == steps]
        mse, ci95, diverged, seconds = (
            np.nan_to_num([row[name] for row in own], nan=np.inf, posinf=np.inf)
            for name in ("mse", "ci95", "diverged", "seconds")
        )
        scores = {"mse": np.median(mse), "ci95": np.median(ci95), "lowest": mse.min(), "highest": mse.max()}
        scores |= {"diverged": diverged.mean(), "seconds": np.median(seconds)}
        summary.append({"steps": steps} | {name: float(value) for name, value in scores.items()} | {"seeds": len(own)})
    return summary


def plot_fits(config: Config, train: TrainState) -> None:
    """Draw fits_0.png to fits_2.png: a new task, its support points, and the prediction after 0, 1 and 10 steps."""
    import jax
    import numpy as np

    from jaxmeta.data.sampling.sinusoids import sinusoid_tasks
    from jaxmeta.training import report

    key = jax.random.key(2**31 - 2)
    support, query = sinusoid_tasks(key, 3, config.shots, 200, config.frequencies)
    curves = {"truth": query.targets}
    for steps in (0, 1, 10):
        learner = make_learner(config, steps)

        def predict(support, inputs, learner=learner):
            fast, _ = learner.adapt(train.params, train.state, support, key)
            return learner.predict(train.params, train.state, fast, inputs, key, False)[0]

        curves[f"{steps} steps"] = jax.jit(jax.vmap(predict))(support, query.inputs)
    for task in range(3):
        order = np.argsort(query.inputs[task, :, 0])
        x = np.asarray(query.inputs)[task, order, 0]
        series = {name: (x, np.asarray(y)[task, order, 0], None) for name, y in curves.items()}
        points = {"support": (support.inputs[task, :, 0], support.targets[task, :, 0])}
        title = f"A new sinusoid from {config.shots} points"
        report.plot_curves(config.workdir / f"fits_{task}.png", series, "x", "y", title, points=points)


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.sinusoid", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
