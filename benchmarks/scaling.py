"""How the time of an update grows with tasks, inner steps and width, and how it falls with devices.

    python -m benchmarks.scaling --json scaling.json                # ten minutes on two cores
    python -m benchmarks.scaling --quick                            # narrow networks, few points

One update of second-order MAML (mixed mode) with conv4 on random log-mels (40 mels, 40 to 80 frames), 5-way 1-shot with
25 query clips. One thing changes at a time from a base of 4 tasks, 5 inner steps, width 64 and one device; the points
of a sweep run in turn, and a figure is the median of the turns. On a CPU each number of devices has a process of its
own; on an accelerator the devices that there are share one. Expected: time linear in tasks and in steps once the
machine is full; on a CPU that is from the start, and more host devices than cores gain nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.shared import console, host_devices, timing
from benchmarks.shared.linearity import departure, describe
from benchmarks.shared.results import Results, Write

SWEEPS = ("tasks", "steps", "width", "devices")


@dataclass(frozen=True)
class Base:
    """What one update is; a sweep changes one field."""

    tasks: int = 4
    steps: int = 5
    """Inner steps."""
    width: int = 64
    """Channels of the network."""
    devices: int = 1
    microbatch: int | None = None
    """Tasks in flight at once; None: one on a CPU, all of them on an accelerator."""
    seed: int = 0


@dataclass(frozen=True)
class Config:
    """What is measured."""

    json: Path | None = None
    """File for the rows and the stamp; the plots go beside it."""
    plot: Path | None = None
    """FILE.png gives FILE-tasks.png and so on, instead of plots beside the JSON file."""
    quick: bool = False
    """A base width of 8, three points of tasks and steps, two of the others, and three turns."""
    sweep: Literal["tasks", "steps", "width", "devices", "all"] = "all"
    tasks: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    steps: tuple[int, ...] = (1, 2, 5, 10, 15, 20)
    width: tuple[int, ...] = (16, 32, 64, 128)
    devices: tuple[int, ...] = (1, 2, 4, 8)
    """On an accelerator, those of them that there are."""
    sharded_tasks: int = 8
    """Tasks of an update where devices are swept, a multiple of their numbers."""
    base: Base = Base()
    turns: int = 7
    """Times that each point runs; 5 or more for figures to report."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table a sweep, draw plots, and write the JSON file if one is named.

    Returns:
      {"rows": every point, "run": the stamp, with the departure from linear time}.
    """
    from jaxmeta.training import report

    if config.quick:
        small = {"tasks": (1, 2, 4), "steps": (1, 2, 4), "width": (8, 16), "devices": (1, 2), "sharded_tasks": 2}
        config = replace(config, **small, base=replace(config.base, width=8), turns=3)
    rows, linear = [], {}
    results = Results(config.json, ("rows",))
    results.stamp(config, report.stamp(config.base.seed, sys.argv, {}))
    for sweep in SWEEPS if config.sweep == "all" else (config.sweep,):
        with console.progress() as step:
            found = results.group(sweep, partial(measure, sweep, config, step))
        _show(sweep, found, config)
        if sweep in ("tasks", "steps"):
            linear[sweep] = departure([row[sweep] for row in found], [row["seconds"] for row in found])
            print(f"{describe(linear[sweep], sweep)}\n")
        rows += found
    results.data["run"]["linear"] = {sweep: found._asdict() for sweep, found in linear.items()}
    results.write()
    return {"rows": rows, "run": results.data["run"]}


def measure(sweep: str, config: Config, step: Callable[[str], None], write: Write) -> list[dict[str, Any]]:
    """Seconds of an update and tasks a second at every point of a sweep."""
    with host_devices.Processes() as processes:
        apart = _apart(sweep)
        builds = {
            point: partial(processes.start, point.devices, make_update, point) if apart else partial(make_update, point)
            for point in points(sweep, config)
        }
        note = lambda taken: write(summarise(sweep, taken))  # noqa: E731 - it has no name of its own
        return summarise(sweep, timing.built_in_turns(builds, config.turns, step, note))


def summarise(sweep: str, seconds: dict[Base, list[float]]) -> list[dict[str, Any]]:
    """A row for each point."""
    rows = []
    for point, taken in seconds.items():
        rates = timing.rates(taken, point.tasks)
        rows.append({"sweep": sweep, **vars(point), "seconds": median(taken), "tasks_per_second": rates["rate"]})
        rows[-1] |= {"lowest": rates["lowest"], "highest": rates["highest"]}
    return rows


def points(sweep: str, config: Config) -> list[Base]:
    """The base with each value of one field.

    Raises:
      ValueError: values that do not rise from 1, or tasks that a number of devices does not divide.
    """
    values: tuple[int, ...] = getattr(config, sweep)
    if not values or list(values) != sorted(set(values)) or values[0] < 1:
        raise ValueError(f"{sweep} must be numbers from 1 that rise, got {values}.")
    if sweep != "devices":
        return [replace(config.base, **{sweep: value}) for value in values]
    if uneven := [count for count in values if config.sharded_tasks % count]:
        raise ValueError(f"sharded_tasks={config.sharded_tasks} must be a multiple of devices={uneven[0]}.")
    if not _apart(sweep):
        import jax

        values = tuple(count for count in values if count <= jax.device_count())
    return [replace(config.base, tasks=config.sharded_tasks, devices=count) for count in values]


def make_update(point: Base) -> Callable[[], None]:
    """A compiled update of a point: a function that runs it once."""
    import jax
    import optax

    from benchmarks.shared.problems import compiled_update, word_episodes
    from jaxmeta import maml, mixed_mode
    from jaxmeta.losses import cross_entropy
    from jaxmeta.models.clip_encoders import conv4

    learner = maml(conv4(5, width=point.width), cross_entropy, optax.sgd(0.1), point.steps, mixed_mode())
    episodes = word_episodes(point.tasks, seed=point.seed)
    options: dict[str, Any] = {"microbatch": point.microbatch or (1 if jax.default_backend() == "cpu" else None)}
    if point.devices > 1:
        axes = {"axis_types": (jax.sharding.AxisType.Auto,), "devices": jax.devices()[: point.devices]}
        mesh = options["mesh"] = jax.make_mesh((point.devices,), ("tasks",), **axes)
        shards = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("tasks"))
        episodes = jax.device_put(episodes, shards)
    return compiled_update(learner, episodes, **options)


def _apart(sweep: str) -> bool:
    """Whether each point needs a process of its own: a CPU's number of devices is fixed when JAX starts."""
    import jax

    return sweep == "devices" and jax.default_backend() == "cpu"


def _show(sweep: str, rows: list[dict[str, Any]], config: Config) -> None:
    from jaxmeta.training import report

    columns = {sweep: "", "seconds": ".4f", "tasks_per_second": ".2f", "lowest": ".2f", "highest": ".2f"}
    others = ", ".join(f"{name} {rows[0][name]}" for name in SWEEPS if name != sweep)
    heading = f"Seconds an update and tasks a second by {sweep}; {others}; lowest and highest of {config.turns} turns"
    print(f"\n{heading}:\n\n{report.markdown_table(rows, columns)}")
    if path := console.picture(config.plot, config.json, sweep):
        curve = ([row[sweep] for row in rows], [row["seconds"] for row in rows], None)
        report.plot_curves(path, {"update": curve}, sweep, "seconds an update", f"Time of an update by {sweep}")


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.scaling", description=__doc__))
