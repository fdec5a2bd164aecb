"""How far are approximate meta-gradients from exact ones, and what do they cost?

    python -m experiments.meta_gradients                    # ten minutes on two cores, no data needed
    python -m experiments.meta_gradients --preset quick     # sinusoids alone, half a minute

Estimators stand beside `unrolled()`, in float64, over inner steps and inner rates, on a perceptron for sinusoids and
on a network for spoken words, each at initialisation and after meta-training. `implicit` is compared with the exact
meta-gradient of its own problem, whose inner loss pulls to the initial weights. Writes results.json, results.md and
meta_gradients.png: cosine, relative norm of the bias, noise over draws, spread over tasks, and processor time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:  # JAX is imported where it is used, so that --help is quick
    import numpy as np

    from experiments.meta_gradients.data import Problem
    from jaxmeta.estimators import Estimator

RATE_STEPS = 5
"""Inner steps at which rates are compared."""
EXACT, PULLED = "unrolled", "unrolled, with a pull"
"""References: the second one has the implicit estimator's inner problem."""
DRAWS, SIGMA, PAIRS = 4, 0.01, 8
"""Estimates of each task's meta-gradient by an estimator that draws, the size of its noise, and its pairs."""
REPEATS = 3
"""Runs that are timed, of which the quickest counts; one for an estimator that draws."""
COLUMNS: dict[str, str | tuple[str, str, str]] = {
    "network": "", "weights": "", "rate": "g", "steps": "", "estimator": "", "cosine": ("cosine", "", ".3f"),
    "bias": ("bias", "", ".3f"), "noise": ("noise", "", ".3f"), "spread": ("spread", "", ".3f"), "cost": ".2f",
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """What is compared."""

    preset: Literal["full", "quick"] = "full"
    tasks: int | None = None
    """Tasks of a meta-gradient, and of intervals; full: 16, quick: 8."""
    seed: int = 0
    """Of weights and tasks."""
    workdir: Path = Path("runs/meta_gradients")
    """For results.json, results.md and the picture."""


def main(config: Config) -> dict[str, Any]:
    """Compare all estimators, write the results and print the table.

    Returns:
      {"rows": one for each network, weights, inner rate, inner steps and estimator, "run": the stamp}.
    Raises:
      ValueError: fewer than two tasks.
    """
    import jax

    from experiments.meta_gradients.data import sinusoids, words
    from jaxmeta.training import report

    full = config.preset == "full"
    tasks = (16 if full else 8) if config.tasks is None else config.tasks
    if tasks < 2:
        raise ValueError(f"tasks={tasks} must be 2 or more, for intervals are over tasks.")
    problems = [lambda: sinusoids(tasks, 10_000 if full else 200, config.seed)]
    problems += [lambda: words(tasks, 100, config.seed)] if full else []
    rows = []
    for make in problems:
        problem = make()
        for steps in problem.steps if full else (1, RATE_STEPS):
            with jax.enable_x64(True):
                rows += compare(problem, steps, problem.rates if steps == RATE_STEPS else problem.rates[-2:-1])
            print(f"{problem.name}, {steps} steps: done", file=sys.stderr)
            report.write_results(config.workdir / "partial", rows, {})
    table = report.interval_table(rows, COLUMNS)
    run = report.stamp(config.seed, sys.argv, {}) | {"tasks": tasks}
    report.write_results(config.workdir, rows, run).with_name("results.md").write_text(table, encoding="utf-8")
    draw(config.workdir / "meta_gradients.png", rows)
    print(table)
    return {"rows": rows, "run": run}


class Compared(NamedTuple):
    """An estimator, and what it is compared with."""

    estimator: Estimator
    draws: int = 1
    pulled: bool = False
    """Whether its inner loss pulls to the initial weights, as the implicit estimator needs it."""


def estimators(steps: int) -> dict[str, Compared]:
    """By name; those that coincide with others at so few steps are left out."""
    import jaxmeta as jm

    named = {EXACT: Compared(jm.unrolled()), "mixed mode": Compared(jm.mixed_mode())}
    named["first order"] = Compared(jm.first_order())
    if steps > 1:
        named["truncated to 1"] = Compared(jm.truncated(1))
    named[f"evolution, {PAIRS} pairs"] = Compared(jm.evolution(SIGMA, PAIRS), DRAWS)
    named[PULLED] = Compared(jm.unrolled(), pulled=True)
    for count in (5, 20):
        named[f"implicit, {count} solves"] = Compared(jm.implicit(jm.conjugate_gradients(count)), pulled=True)
    return named


def compare(problem: Problem, steps: int, rates: tuple[float, ...]) -> list[dict[str, Any]]:
    """Rows of all estimators at these steps, for each weights and rate; each estimator is compiled once."""
    import jax

    from jaxmeta.estimators import estimator_errors

    compared = estimators(steps)
    programs: dict[str, Callable] = {}
    rows = []
    for weights, (params, state) in problem.weights.items():
        for rate in rates:
            arguments = jax.tree.map(widened, (params, state, problem.episodes, rate))
            programs = programs or {
                name: meta_gradients(problem, steps, each).lower(*arguments).compile()
                for name, each in compared.items()
            }
            gradients, seconds = measured(programs, {name: each.draws for name, each in compared.items()}, arguments)
            for name, each in compared.items():
                reference = PULLED if each.pulled else EXACT
                errors = estimator_errors(gradients[reference][0], gradients[name])
                row = {"network": problem.name, "weights": weights, "rate": rate, "steps": steps, "estimator": name}
                for figure, interval in zip(errors._fields, errors, strict=True):
                    row |= interval.columns(figure)
                rows.append(row | {"cost": seconds[name] / seconds[EXACT]})
    return rows


def meta_gradients(problem: Problem, steps: int, compared: Compared) -> Any:
    """A jitted (params, state, episodes, rate) -> meta-gradients [draws, B, W], task by task."""
    import jax
    import optax
    from jax.flatten_util import ravel_pytree

    from jaxmeta.objective import adapting, after_adaptation
    from jaxmeta.types import Inner

    task, strength = adapting(problem.model, problem.loss), problem.strength if compared.pulled else 0.0

    def compute(params, state, episodes, rate):
        solve = compared.estimator(Inner(task.loss, lambda params: optax.sgd(rate), steps, proximal=strength))

        def adapt(params, state, support, key):
            return solve(task.start(params), params, state, support, key)

        gradient = jax.grad(after_adaptation(adapt, task.predict, problem.loss), has_aux=True)
        tasks = len(jax.tree.leaves(episodes)[0])

        def draw(key):
            keyed = episodes, jax.random.split(key, tasks)
            return jax.lax.map(lambda pair: ravel_pytree(gradient(params, state, *pair)[0])[0], keyed)

        return jax.lax.map(draw, jax.random.split(jax.random.key(0), compared.draws))

    return jax.jit(compute)


def widened(leaf: Any) -> Any:
    """In float64, where it is a floating-point number."""
    import jax.numpy as jnp

    leaf = jnp.asarray(leaf)
    return leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def measured(
    programs: Mapping[str, Callable], draws: Mapping[str, int], arguments: tuple
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Results of programs, and the processor time of a draw of each, in turns."""
    import jax
    import numpy as np

    results: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    for turn in range(REPEATS):
        for name, program in programs.items():
            if turn and draws[name] > 1:
                continue
            start = time.process_time()
            results[name] = np.asarray(jax.block_until_ready(program(*arguments)))
            seconds[name] = min(seconds.get(name, np.inf), (time.process_time() - start) / draws[name])
    return results, seconds


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Bias over steps at initialisation and after training, and over rates; cosine over steps; a row a network."""
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        print("no picture: pip install 'jaxmeta[plot]'", file=sys.stderr)
        return
    from matplotlib.figure import Figure

    networks = list(dict.fromkeys(row["network"] for row in rows))
    names = [name for name in dict.fromkeys(row["estimator"] for row in rows) if not name.startswith("unrolled")]
    figure = Figure(figsize=(11, 2.9 * len(networks)), layout="constrained")
    for axes, network in zip(figure.subplots(len(networks), 4, squeeze=False), networks, strict=True):
        own = [row for row in rows if row["network"] == network]
        middle = {row["rate"] for row in own if row["steps"] != RATE_STEPS} or {own[0]["rate"]}
        at_rate = [row for row in own if row["rate"] in middle]
        panels = [
            ("at initialisation", "steps", "bias", at_rate), ("after training", "steps", "bias", at_rate),
            ("after training", "rate", "bias", [row for row in own if row["steps"] == RATE_STEPS]),
            ("after training", "steps", "cosine", at_rate),
        ]  # fmt: skip
        for each, (weights, x, y, chosen) in zip(axes, panels, strict=True):
            for color, name in enumerate(names):
                if y == "bias" and name.startswith("evolution"):
                    continue  # Its noise is far above its bias.
                points = [row for row in chosen if row["weights"] == weights and row["estimator"] == name]
                _curve(each, points, x, y, f"C{color}", name)
            extra = f", {RATE_STEPS} steps" if x == "rate" else f", rate {next(iter(middle)):g}"
            each.set_title(f"{network}, {weights}{extra}", fontsize=8)
            each.set(xlabel=f"inner {x}", ylabel={"bias": "relative bias", "cosine": "cosine"}[y], xscale="log")
            if y == "bias":
                each.set(yscale="log", ylim=(0.03, 10))
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _curve(axes: Any, points: list[dict[str, Any]], x: str, y: str, color: str, name: str) -> None:
    """Figures with their intervals; what rounding alone leaves is below the picture."""
    across = [row[x] for row in points]
    # A bias of exactly 0 has no place on a logarithmic axis.
    least = -1.0 if y == "cosine" else 1e-18
    value, low, high = ([max(row[key], least) for row in points] for key in (y, f"{y}_low", f"{y}_high"))
    axes.plot(across, value, marker="o", markersize=3, color=color, label=name)
    axes.fill_between(across, low, high, alpha=0.15, color=color)


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.meta_gradients", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
