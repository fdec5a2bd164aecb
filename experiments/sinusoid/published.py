"""Learners beside published figures on sinusoids: the settings, and one resumable run over all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from experiments.sinusoid.__main__ import Config, Name

SEEDS = 3
ONE, SEVERAL = (1.0, 1.0), (0.8, 1.2)
"""Frequencies of Finn et al. 2017, and of Li et al. 2017."""


class Setting(NamedTuple):
    """What a row of the table trains on."""

    learner: Name
    shots: int
    """Points to adapt to, in training as in testing."""
    iterations: int
    frequencies: tuple[float, float] = ONE
    tasks: int = 25
    """In an update."""
    published: str = "none"
    """Errors after 1, 5 or 10 steps, and their source."""


SETTINGS = (
    Setting("maml", 10, 20_000, published="0.4 to 0.5 / - / 0.1 to 0.2, figure 3 of Finn et al. 2017, by eye"),
    Setting("maml", 5, 20_000),
    Setting("cavia", 10, 20_000),
    Setting("cavia", 5, 20_000),
    Setting("reptile", 10, 10_000),
    Setting("reptile", 5, 10_000),
    Setting("meta_sgd", 10, 20_000),
    Setting("meta_sgd", 5, 20_000),
    Setting("maml", 5, 20_000, SEVERAL, published="1.13 / - / -, table 1 of Li et al. 2017"),
    Setting("meta_sgd", 5, 20_000, SEVERAL, published="0.90 / - / -, table 1 of Li et al. 2017"),
    Setting("maml", 10, 20_000, SEVERAL),
    Setting("meta_sgd", 10, 20_000, SEVERAL),
    Setting("imaml", 10, 3_000),
    Setting("imaml", 5, 3_000),
)


def run_published(config: Config) -> dict[str, Any]:
    """Run every setting with three seeds, and write published.md, results.json and what a second run goes on from.

    Args:
      config: of which the first seed, the number of test tasks, the preset and the working directory count.
    Returns:
      as `main`, with a row of the table for each setting as the summary.
    """
    import jaxmeta
    from experiments.sinusoid.__main__ import check_size, make_run, summarise, training_steps
    from jaxmeta.evaluation.result_cache import ResultCache
    from jaxmeta.learners.learned_rates import remark_on_steps
    from jaxmeta.training import report

    folder, rows, table, remarks = config.workdir / "published", [], [], set()
    cache, digest = ResultCache(folder), report.source_digest(jaxmeta)
    for number, setting in enumerate(SETTINGS):
        own = replace(
            config, learner=setting.learner, shots=setting.shots, frequencies=setting.frequencies, tasks=setting.tasks,
            seeds=SEEDS, iterations=min(setting.iterations, check_size(config)[0]), workdir=folder / str(number),
        )  # fmt: skip
        iterations, seeds, test_tasks = check_size(own)
        print(f"{setting.learner}, {setting.shots} points, {iterations} updates", file=sys.stderr)
        identity = {name: value for name, value in asdict(own).items() if name not in ("workdir", "seed", "preset")}
        run_seed = make_run(own, iterations, test_tasks)
        scores: list[dict[str, Any]] = []
        for seed in range(config.seed, config.seed + seeds):
            key = [identity, test_tasks, seed, digest]
            scores += cache.get(key, partial(_rows_of, run_seed, seed))
        rows += scores
        table.append(row_of(setting, iterations, training_steps(own), summarise(scores)))
        remarks.add(remark_on_steps(setting.learner, training_steps(own), (1, 5, 10)))
    text = report.markdown_table(table, list({name: "" for row in table for name in row}))
    (folder / "published.md").write_text(text, encoding="utf-8")
    run = report.stamp(config.seed, sys.argv, {})
    report.write_results(folder, rows, run)
    print(text)
    for remark in sorted(remark for remark in remarks if remark):
        print(f"warning: {remark}", file=sys.stderr)
    return {"rows": rows, "summary": table, "run": run}


def _rows_of(run_seed: Callable[[int], tuple[Any, list[dict]]], seed: int) -> list[dict]:
    return run_seed(seed)[1]


def row_of(setting: Setting, iterations: int, trained: int, summary: list[dict[str, Any]]) -> dict[str, Any]:
    """The setting, the median over seeds after each number of steps (lowest to highest), and the published figures."""
    row: dict[str, Any] = {
        "learner": setting.learner, "points": setting.shots,
        "frequencies": "{:g} to {:g}".format(*setting.frequencies) if setting.frequencies != ONE else "1",
        "updates": iterations, "steps in training": trained,
    }  # fmt: skip
    for each in summary:
        if each["steps"]:
            cell = f"{shown(each['mse'])} ({shown(each['lowest'])} to {shown(each['highest'])})"
            row[f"after {each['steps']}"] = cell
    diverged = max(each["diverged"] for each in summary)
    return row | {"most that diverged, %": f"{100 * diverged:.2f}", "published, after 1 / 5 / 10": setting.published}


def shown(error: float) -> str:
    """A mean squared error, or that it exploded: any error above 100 is that of a task that went astray.

    >>> shown(0.1234), shown(1e9)
    ('0.123', 'exploded')
    """
    return f"{error:.3f}" if error <= 100 else "exploded"
