"""What a meta-gradient costs in memory, by the number of inner steps, for each way to differentiate the inner loop.

    python -m benchmarks.memory --json memory.json                  # compiles 108 programs: twenty minutes on two cores
    python -m benchmarks.memory --network words --quick             # one network and two numbers of steps

Temporary memory that the compiler sets aside for the meta-gradient of one task (temp_size_in_bytes), and the slope
between the two largest numbers of steps in copies of the adapted weights a step. Nothing is run. Networks: `words` is
conv4 of width 64 and `residual` the residual network of width 128, both on 40 mels and 80 frames with 5 support and 25
query clips; `ctc` is a strided convolution, a dense layer and a bidirectional GRU of 128 on 200 frames with 4 support
and 4 query utterances of 20 labels. Expected: no slope for first order, about one copy a step for mixed mode, less
where it computes blocks of about the square root of the steps again, and many copies for unrolled, which stores the
activations of every step, or of every step of a block. A loop of a single step is inlined by the compiler, so its
figure stands apart.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.shared import console
from benchmarks.shared.results import Options, Results, Write

if TYPE_CHECKING:  # JAX is imported where it is used, so that --help is quick
    from jaxmeta.estimators import Estimator
    from jaxmeta.types import Episode, MetaLearner

NETWORKS = ("words", "residual", "ctc")


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    plot: Path | None = None
    """FILE.png gives FILE-words.png and so on; None: plots go beside the JSON file."""
    quick: bool = False
    """4 and 16 inner steps only."""
    network: Literal["words", "residual", "ctc", "all"] = "all"
    steps: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Inner steps, two numbers or more that rise."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table a network, draw plots, and write the JSON file if one is named.

    Returns:
      {"rows": memory of each network and estimator, "run": the stamp}.
    """
    from jaxmeta.training import report

    if config.quick:
        config = replace(config, steps=(4, 16))
    if len(config.steps) < 2 or list(config.steps) != sorted(set(config.steps)) or config.steps[0] < 1:
        raise ValueError(f"steps must be two numbers or more from 1 that rise, got {config.steps}.")
    rows = []
    results = Results(config.json, ("rows",))
    results.stamp(config, report.stamp(config.seed, sys.argv, {}))
    for network in NETWORKS if config.network == "all" else (config.network,):
        with console.progress() as step:
            found = results.group(network, partial(measure_memory, network, config, step))
        _show(network, found, config)
        rows += found
    return {"rows": rows, "run": results.data["run"]}


def make_estimators(steps: int) -> dict[str, Estimator]:
    """The estimators that are compared, with the choices of what is computed again."""
    from jaxmeta import first_order, mixed_mode, unrolled

    root = square_root(steps)
    return {
        "first order": first_order(),
        "unrolled": unrolled(),
        "unrolled, remat 1": unrolled(remat=1),
        "unrolled, remat √steps": unrolled(remat=root),
        "mixed mode": mixed_mode(),
        "mixed mode, remat √steps": mixed_mode(remat=root),
    }


def make_problem(network: str, seed: int) -> tuple[Callable[[Estimator, int], MetaLearner], Episode]:
    """A network's learner as a function of estimator and inner steps, and one task for it."""
    import jax
    import optax

    from benchmarks.shared.problems import transcriber, transcription_episodes, word_episodes
    from jaxmeta import maml
    from jaxmeta.losses import cross_entropy
    from jaxmeta.models.clip_encoders import conv4, residual
    from jaxmeta.sequence_losses import ctc

    if network == "ctc":
        model, loss, episodes = transcriber(), ctc, transcription_episodes(1, seed=seed)
    else:
        model = conv4(5, width=64) if network == "words" else residual(5, width=128)
        loss, episodes = cross_entropy, word_episodes(1, seed=seed)
    episode = jax.tree.map(lambda leaf: leaf[0], episodes)
    return lambda estimator, steps: maml(model, loss, optax.sgd(0.1), steps, estimator), episode


def measure_memory(network: str, config: Config, step: Callable[[str], None], write: Write) -> list[dict[str, Any]]:
    """MiB of temporaries of one task's meta-gradient by inner steps, and the slope in copies of the weights a step."""
    import jax

    make_learner, episode = make_problem(network, config.seed)
    key = jax.random.key(config.seed)
    mebibytes: dict[str, list[float]] = {}
    for steps in config.steps:
        for name, estimator in make_estimators(steps).items():
            step(f"compiling {network}, {name}, {steps} steps")
            learner = make_learner(estimator, steps)
            params, state = jax.eval_shape(learner.init, key, episode.support.inputs)
            gradient = jax.jit(jax.value_and_grad(learner.meta_loss, has_aux=True))
            analysis: Any = gradient.lower(params, state, episode, key).compile().memory_analysis()
            mebibytes.setdefault(name, []).append(analysis.temp_size_in_bytes / 2**20)
            weights = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params)) / 2**20
            write([memory_row(network, each, config.steps, sizes, weights) for each, sizes in mebibytes.items()])
    return [memory_row(network, name, config.steps, sizes, weights) for name, sizes in mebibytes.items()]


def memory_row(
    network: str, estimator: str, steps: Sequence[int], sizes: Sequence[float], weights: float
) -> dict[str, Any]:
    """MiB by inner steps, as far as they are known, and the slope between the last two."""
    known = dict(zip(steps, sizes, strict=False))
    slope = last_slope(list(known), sizes) / weights if len(known) > 1 else None
    named = {f"{count} steps": size for count, size in known.items()}
    return {"network": network, "estimator": estimator, **named, "copies_per_step": slope, "weights_mib": weights}


def square_root(steps: int) -> int:
    """The whole number nearest to the square root of a number of steps, 1 or more."""
    return max(1, round(steps**0.5))


def last_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Change of y for one of x, between the last two points."""
    return (y[-1] - y[-2]) / (x[-1] - x[-2])


def _show(network: str, rows: list[dict[str, Any]], config: Config) -> None:
    from jaxmeta.training import report

    sizes = {row["estimator"]: [row[f"{steps} steps"] for steps in config.steps] for row in rows}
    columns = {"estimator": "", **{f"{steps} steps": ".2f" for steps in config.steps}, "copies_per_step": ".2f"}
    print(
        f"\n{network}: temporary memory of one task's meta-gradient, MiB, and its slope in copies of the weights "
        f"({rows[0]['weights_mib']:.2f} MiB):\n\n{report.markdown_table(rows, columns)}"
    )
    pairs = zip(config.steps, sizes["unrolled"], sizes["mixed mode"], strict=True)
    ratios = ", ".join(f"{unrolled / mixed:.2f} at {steps}" for steps, unrolled, mixed in pairs)
    print(f"Unrolled over mixed mode, by inner steps: {ratios}")
    if path := console.picture(config.plot, config.json, network):
        curves = {name: (config.steps, size, None) for name, size in sizes.items()}
        report.plot_curves(path, curves, "inner steps", "temporary memory (MiB)", f"{network}: one task's gradient")


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.memory", description=__doc__))
