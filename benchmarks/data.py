"""What the data side delivers against what training consumes: features, opening a cache, and episodes.

    python -m benchmarks.data --json data.json    # a few minutes on two cores
    python -m benchmarks.data --quick             # a minute: 10,000 clips of a quarter of a second of noise

Data: zh_en_words and ar_commands under JAXMETA_DATA (16,320 clips), or where it is not set 10,500 words that espeak-ng
speaks. Measured are the pipeline from audio file to log-mels on one core; opening the features of all clips, at first
(computed, by as many processes as `load_corpus` takes), when they are on the disk alone, and when they are in memory;
and episodes a second of the sampler, alone and with the transfer to the device, against those that an update of MAML
consumes (conv4, mixed mode; 5-way 1-shot with 25 query clips of 40 mels and 80 frames, the same shapes). "On the disk
alone" is after the system was asked to drop the files of the cache; where it cannot be asked the line is missing.
Expected: one core computes features hundreds of times faster than real time, and the sampler delivers more episodes
than an update consumes on a CPU.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.shared import console, timing
from benchmarks.shared.results import Options

if TYPE_CHECKING:  # JAX and librosa are imported where they are used, so that --help is quick
    from jaxmeta.data.corpus import Corpus
    from jaxmeta.types import Episode

FRAMES = 80


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    quick: bool = False
    """10,000 clips of noise instead of corpora, three turns of eight batches, and an update of a narrow network."""
    corpora: tuple[str, ...] = ()
    """Names of folders under JAXMETA_DATA; none: the default ones."""
    noise: int | None = None
    """Number of clips of noise to measure on instead of corpora."""
    workdir: Path | None = None
    """Folder on the disk that holds the cache while this runs; None: the system's for temporary files."""
    decoded: int = 500
    """Clips of the first corpus that features are computed of on one core."""
    tasks: int = 4
    """Tasks in an update, and episodes in a batch."""
    steps: int = 5
    """Inner steps of the update."""
    width: int = 64
    """Channels of the network."""
    microbatch: int | None = None
    """Tasks in flight at once; None: one on a CPU, all of them on an accelerator."""
    batches: int = 20
    """Batches of episodes that are drawn in each turn."""
    turns: int = 7
    """Times that each thing runs; 5 or more for figures to report."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table, and write the JSON file if one is named.

    Returns:
      {"rows": what was measured, with value and unit, "run": the stamp}.
    """
    from benchmarks.shared import clips
    from jaxmeta.training import report

    if config.quick:
        config = replace(config, noise=10_000, width=16, batches=8, turns=3)
    with tempfile.TemporaryDirectory(dir=config.workdir) as scratch, console.progress() as step:
        step("finding or making recordings")
        folders = clips.find_or_make(config.corpora, config.noise, Path(scratch), config.seed)
        data = {folder.name: folder / "metadata.csv" for folder in folders}
        stamp = report.stamp(config.seed, sys.argv, data)
        with clips.empty_cache(Path(scratch, "cache")):
            rows = measure_features(folders[0], config, step)
            console.keep(config.json, rows, stamp)
            corpora, opening = measure_opening(folders, Path(scratch, "cache"), config, step)
            console.keep(config.json, rows + opening, stamp)
            rows += opening + measure_episodes(corpora, config, step)
    count = sum(map(len, corpora))
    columns = {"what": "", "value": ".5g", "lowest": ".5g", "highest": ".5g", "unit": ""}
    print(f"\n{count:,} clips ({', '.join(data)}), median of {config.turns} turns:\n")
    print(report.markdown_table(rows, columns))
    return console.keep(config.json, rows, stamp | {"config": vars(config), "clips": count})


def feature_config() -> Any:
    """Log-mels of 40 bands, a frame each 10 ms."""
    from jaxmeta.data.features import FeatureConfig

    return FeatureConfig(n_mels=40, hop_length=160)


def measure_features(folder: Path, config: Config, step: Callable[[str], None]) -> list[dict[str, Any]]:
    """Audio a second through decoding, resampling and features, on one core."""
    from jaxmeta.data.audio import read_audio
    from jaxmeta.data.features import extract
    from jaxmeta.data.manifest import read_manifest

    manifest, features = read_manifest(folder), feature_config()
    paths = list(manifest.paths())
    paths = paths[:: max(1, len(paths) // config.decoded)][: config.decoded]
    duration = sum(len(read_audio(path)) for path in paths) / 16_000
    extract(read_audio(paths[0]), features)  # Compiles and makes the filters.

    def run() -> None:
        for path in paths:
            extract(read_audio(path), features)

    step(f"features of {len(paths)} clips on one core")
    rates = timing.rates(timing.in_turns({"features": run}, config.turns, step)["features"], duration)
    hours = {name: rate / 3600 for name, rate in rates.items()}
    return [
        _row("audio file to log-mels, one core", "times real time", rates),
        _row("audio file to log-mels, one core", "hours of audio a second", hours),
    ]


def measure_opening(
    folders: list[Path], cache: Path, config: Config, step: Callable[[str], None]
) -> tuple[list[Corpus], list[dict[str, Any]]]:
    """Seconds to open all corpora: features not yet computed, on the disk alone, and in memory; and the corpora."""
    from benchmarks.shared import clips
    from jaxmeta.data.corpus import load_corpus

    def opened() -> tuple[list[Corpus], float]:
        start = time.perf_counter()
        corpora = [load_corpus(folder, feature_config(), progress=False) for folder in folders]
        return corpora, time.perf_counter() - start

    step("opening: computing features")
    computed = opened()[1]  # No corpus is kept: the system does not drop files that are mapped.
    opened()  # Files of the last two seconds were hashed, but not remembered, the first time.
    taken: dict[str, list[float]] = {"features on the disk alone": [], "features in memory": []}
    for turn in range(config.turns):
        step(f"opening, turn {turn + 1} of {config.turns}")
        for name, seconds in taken.items():
            if name == "features in memory" or clips.forget(cache):
                seconds.append(opened()[1])
    rows = [_row("opening, features not computed", "s", {"rate": computed})]
    for name, seconds in taken.items():
        if seconds:
            spread = {"rate": median(seconds), "lowest": min(seconds), "highest": max(seconds)}
            rows.append(_row(f"opening, {name}", "s", spread))
    return opened()[0], rows


def measure_episodes(corpora: list[Corpus], config: Config, step: Callable[[str], None]) -> list[dict[str, Any]]:
    """Episodes a second of the sampler, of sampler and transfer, and of the update; and delivered over consumed."""
    import jax

    from jaxmeta.data.corpus import concatenate
    from jaxmeta.data.sampling.episodes import episode_sampler

    sampler = episode_sampler(
        concatenate(corpora),
        **{"ways": 5, "shots": 1, "queries": 5, "tasks": config.tasks, "seed": config.seed},
        max_frames=FRAMES,
        buckets=1,
    )
    step("compiling the update")
    update, shown = _make_update(sampler(0), config), range(config.batches)
    runs: dict[str, Callable[[], Any]] = {
        "sampler": lambda: [sampler(index) for index in shown],
        "sampler and transfer": lambda: [jax.block_until_ready(jax.device_put(sampler(index))) for index in shown],
        "update": lambda: [update() for _ in shown],
    }
    seconds = timing.in_turns(runs, config.turns, step)
    rates = {name: timing.rates(taken, config.tasks * config.batches) for name, taken in seconds.items()}
    pairs = zip(seconds["update"], seconds["sampler and transfer"], strict=True)
    return [
        _row("episodes drawn", "episodes a second", rates["sampler"]),
        _row("episodes drawn and on the device", "episodes a second", rates["sampler and transfer"]),
        _row("episodes an update consumes", "episodes a second", rates["update"]),
        _row("delivered over consumed", "", {"rate": median(update / drawn for update, drawn in pairs)}),
    ]


def _make_update(episodes: Episode, config: Config) -> Callable[[], None]:
    import jax
    import optax

    from benchmarks.shared.problems import compiled_update
    from jaxmeta import maml, mixed_mode
    from jaxmeta.losses import cross_entropy
    from jaxmeta.models.clip_encoders import conv4

    learner = maml(conv4(5, width=config.width), cross_entropy, optax.sgd(0.1), config.steps, mixed_mode())
    microbatch = config.microbatch or (1 if jax.default_backend() == "cpu" else None)
    return compiled_update(learner, jax.device_put(episodes), microbatch=microbatch)


def _row(what: str, unit: str, rates: dict[str, float]) -> dict[str, Any]:
    found = {"value": rates["rate"], "lowest": rates.get("lowest"), "highest": rates.get("highest")}
    return {"what": what, **found, "unit": unit}


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.data", description=__doc__))
