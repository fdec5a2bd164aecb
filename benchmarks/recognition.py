"""What recognition costs: a second-order update of a recogniser, recognising by the best path, and beam search.

    python -m benchmarks.recognition --json recognition.json    # some minutes on two cores
    python -m benchmarks.recognition --quick                    # the smallest recurrent network on one second

The update is MAML's through CTC (mixed mode, 3 inner steps), on 4 tasks of 4 support and 4 query utterances of 4 s (400
frames of 40 log-mels, 30 labels), one task in flight at a time. Beside what the compiler sets aside for the update and
its arguments stands the peak memory of a process that runs it, and of the one that compiled it. The best path is that
of a batch of 8 utterances, from log-mels on. Beam search decodes artificial outputs for short English sentences, in
which the right class is by far the likeliest in most frames, with a model of words (and their spellings) and with one
of characters; both are trained on such sentences. It runs by each engine that is installed: our own, and with the
extra "decode" flashlight-text. Times real time: seconds of speech over seconds of work.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benchmarks.shared import console, timing
from benchmarks.shared.results import Options, Results

FRAME_RATE = 100
"""Frames of log-mels a second."""


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    quick: bool = False
    """A recurrent network of size "tiny", utterances of one second, one inner step and three turns."""
    networks: tuple[str, ...] = ("gru", "conformer")
    """Encoders."""
    size: str = "small"
    """Of the encoders; "small" is about a million weights."""
    frames: int = 400
    """Of every utterance; 100 are a second."""
    labels: int = 30
    """Of every transcript."""
    steps: int = 3
    """Inner steps."""
    tasks: int = 4
    """Tasks of an update, each of 4 support and 4 query utterances."""
    sentences: int = 1000
    """That the language models are trained on."""
    searches: bool = True
    """Beam search too, which a processor does."""
    beam: int = 50
    """Hypotheses kept after each frame."""
    turns: int = 7
    """Times that each thing runs; 5 or more for figures to report."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print two Markdown tables, and write the JSON file if one is named.

    Returns:
      {"rows": updates and decoders, "run": the stamp}.
    """
    if config.quick:
        config = replace(config, networks=("gru",), size="tiny", frames=100, labels=10, steps=1, sentences=300, turns=3)
    results = Results(config.json, ("rows",))
    with console.progress() as step:
        updates = [
            row
            for name in config.networks
            for row in results.group(
                f"update of {name}", lambda write, name=name: [_in_own_process(name, config, step)]
            )
        ]
        decoders = results.group("decoders", lambda write: measure_decoding(config, step))
    # JAX is imported here and not before: a child's peak memory starts at its parent's.
    from jaxmeta.training import report

    columns = {
        "network": "", "weights": ",d", "seconds": ".2f", "lowest": ".2f", "highest": ".2f",
        "compiler_mib": ".0f", "process_mib": ".0f", "compiling_mib": ".0f", "compile_seconds": ".0f",
    }  # fmt: skip
    print(f"\nA second-order update, {_describe(config)}:\n\n{report.markdown_table(updates, columns)}")
    columns = {"decoder": ""} | dict.fromkeys(("times_real_time", "lowest", "highest", "frames_per_second"), ".4g")
    print(f"Recognition, medians of {config.turns} turns:\n\n{report.markdown_table(decoders, columns)}")
    results.stamp(config, report.stamp(config.seed, sys.argv, {}))
    results.write()
    return {"rows": updates + decoders, "run": results.data["run"]}


def measure_update(network: str, config: Config, compiled_programs: str) -> dict[str, Any]:
    """Seconds of an update of one network, and its memory: the compiler's plan, and the most that this process held.

    Args:
      network: encoder.
      config: what is measured.
      compiled_programs: folder that keeps them; a process that finds its program there need not compile.
    """
    import time

    import jax
    import optax

    from benchmarks.shared.problems import CLASSES, transcription_episodes
    from jaxmeta import maml, mixed_mode
    from jaxmeta.models.acoustic import recogniser
    from jaxmeta.sequence_losses import ctc, per_label
    from jaxmeta.training import init_state, make_update
    from jaxmeta.training.runtime import prepare

    prepare(compiled=compiled_programs)
    episodes = transcription_episodes(config.tasks, frames=config.frames, labels=config.labels, seed=config.seed)
    learner = maml(
        recogniser(CLASSES, network, config.size), per_label(ctc), optax.sgd(0.1), config.steps, mixed_mode()
    )
    optimizer = optax.adam(1e-3)
    inputs = jax.tree.map(lambda leaf: leaf[0], episodes.support.inputs)
    train = init_state(learner, optimizer, jax.random.key(config.seed), inputs)
    start = time.perf_counter()
    update = jax.jit(make_update(learner, optimizer, microbatch=1)).lower(train, episodes).compile()
    compiled = time.perf_counter() - start
    plan: Any = update.memory_analysis()

    def run() -> None:
        nonlocal train
        train, _ = jax.block_until_ready(update(train, episodes))

    run()
    seconds = timing.in_turns({network: run}, config.turns, lambda what: None)[network]
    return {
        "network": network, "weights": sum(leaf.size for leaf in jax.tree.leaves(train.params)),
        "seconds": median(seconds), "lowest": min(seconds), "highest": max(seconds),
        "compiler_mib": (plan.temp_size_in_bytes + plan.argument_size_in_bytes) / 2**20,
        "process_mib": peak_mebibytes(), "compile_seconds": compiled,
    }  # fmt: skip


def measure_decoding(config: Config, step: Callable[[str], None]) -> list[dict[str, Any]]:
    """How many times faster than real time each way to recognise is."""
    from benchmarks.shared.decoders import UTTERANCES, make_greedy, make_searches

    runs: dict[str, tuple[Callable[[], None], int]] = {}
    for network in config.networks:
        step(f"compiling the best path of {network}")
        runs[f"best path, {network}, {UTTERANCES} utterances"] = (
            make_greedy(network, config.size, config.frames, config.seed),
            UTTERANCES * config.frames,
        )
    if config.searches:
        step("training language models")
        runs |= make_searches(config.sentences, config.beam, config.seed)
    seconds = timing.in_turns({name: run for name, (run, _) in runs.items()}, config.turns, step)
    rows = []
    for name, taken in seconds.items():
        rates = timing.rates(taken, runs[name][1])
        rows.append({
            "decoder": name, "times_real_time": rates["rate"] / FRAME_RATE, "lowest": rates["lowest"] / FRAME_RATE,
            "highest": rates["highest"] / FRAME_RATE, "frames_per_second": rates["rate"],
        })  # fmt: skip
    return rows


def peak_mebibytes() -> float:
    """The most memory that this process has held."""
    import resource

    # Linux counts KiB and macOS bytes. On Linux the figure starts at the parent's own, so the parent must stay small.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _in_own_process(network: str, config: Config, step: Callable[[str], None]) -> dict[str, Any]:
    """The row of a network, by a process that has compiled it, and another that has held nothing but the program."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    def measured(turns: int) -> dict[str, Any]:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(measure_update, network, replace(config, turns=turns), folder).result()

    with tempfile.TemporaryDirectory() as folder:
        step(f"compiling the update of {network}")
        first = measured(1)
        step(f"timing the update of {network}")
        compiling = {"compiling_mib": first["process_mib"], "compile_seconds": first["compile_seconds"]}
        return measured(config.turns) | compiling


def _describe(config: Config) -> str:
    return (
        f"{config.tasks} tasks of 4 + 4 utterances of {config.frames} frames and {config.labels} labels, "
        f"{config.steps} inner steps, mixed mode, one task at a time; size {config.size!r}, median "
        f"of {config.turns} turns"
    )


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.recognition", description=__doc__))
