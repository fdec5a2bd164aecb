"""Does a compressed network still adapt, and does an adapted one still compress?

    python -m experiments.compress --preset quick                  # minutes on two cores, no data
    JAXMETA_DATA=DIR python -m experiments.compress --preset full  # hours

A word model (a prototypical network) and a recogniser (CTC) are trained, compressed in every way that the package
knows, and adapted then: to five recordings of each of five new words, and to five utterances of a new speaker. Weights
are rounded to bfloat16, int8 and int4; cut one by one, at once or with training again from the weights of an early
stage (rewinding); cut by whole channels, whose arrays then are smaller; and trained to be rounded. The other order,
adapted and then compressed, stands beside. A device would store one compressed network, and for each user the
prototypes of the words, or the differences of scales and biases.

The quick preset synthesises speech; the full one reads recordings under JAXMETA_DATA, and takes the recogniser of
`adapt_asr` where `--speech` names its working directory. Needs the extra "quant"; the extra "onnx" adds latencies in
onnxruntime. Writes results.json, results.md and plots. Expected of quick: 99.2 % of words right, by float32, int8 and
int4 alike, and 21.6 % of characters wrong. All numbers: README.md in this folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jaxmeta.recognition.presets import RecogniserPreset
from jaxmeta.words import presets as words

if TYPE_CHECKING:
    from jaxmeta.recognition.compression import RecogniserNetwork
    from jaxmeta.words.compression import WordNetwork

Name = Literal["words", "recogniser"]


@dataclass(frozen=True)
class Config:
    """Compression, before and after adaptation."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech, and how long to train."""
    networks: tuple[Name, ...] = ("words", "recogniser")
    """Which networks."""
    updates: int | None = None
    """Updates of every training, instead of the preset's."""
    latency: bool = True
    """Measure how long a clip and an adaptation take, too."""
    speech: Path | None = None
    """Working directory of `adapt_asr` of the same preset and seed, whose recogniser is taken; none: it is trained."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/compress")
    """Checkpoints, logs and results; the same command resumes there."""


class CompressionPreset(NamedTuple):
    """How both networks are trained, and for which forms they are trained again."""

    words: words.WordsPreset
    """Of the second stage."""
    words_early: int
    """Updates of the first stage, to whose end pruned networks are rewound."""
    words_again: Mapping[str, Any]
    """As `compress.variants.variants` takes it."""
    speech: RecogniserPreset
    """Of the second stage."""
    speech_early: int
    """Updates of the first stage, on transcripts read by artificial voices too; 0: there is none."""
    speech_again: Mapping[str, Any]
    lengths: int
    """That speakers' utterances are padded to."""


PRESETS = {
    "quick": CompressionPreset(
        words.PRESETS["quick"]["protonet"]._replace(updates=250, batches=((5, 3, 1),)), 60, {"sparse": (0.8,)},
        RecogniserPreset("gru", "tiny", 320, 3e-3, frames_per_batch=8_000, max_frames=400, dropout=0.0), 0, {}, 1,
    ),
    "full": CompressionPreset(
        words.PRESETS["full"]["protonet"]._replace(updates=4_500), 500,
        {"sparse": (0.8,), "channels": (0.5,), "bits": (4,), "calibration": 200},
        RecogniserPreset("gru", "small", 3_000, 3e-3, frames_per_batch=12_000, max_frames=800, dropout=0.1), 2_000,
        {"sparse": (0.8,), "channels": (0.5,), "calibration": 64}, 2,
    ),
}  # fmt: skip
COLUMNS = {
    "network": "", "compressed": "", "kB": ".1f", "times smaller": ".2f", "before": "", "after": "", "change": "",
    "kB a user": ".1f", "adapted, then compressed": "",
}  # fmt: skip
LATENCY_COLUMNS = {"network": "", "run by": "", "what": "", "median ms": ".2f", "95 % below ms": ".2f", "kB": ".1f"}


def main(config: Config) -> dict:
    """Train, compress, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, or a working directory that holds another run.
      ImportError: the extra "quant" is missing.
    """
    from jaxmeta.compress.latency import latencies
    from jaxmeta.compress.variants import compare, variants
    from jaxmeta.training.report import markdown_table, stamp, write_tables

    preset = _preset(config)
    rows, times, data = [], [], {}
    for name in config.networks:
        network, fingerprints = (_words if name == "words" else _recogniser)(config, preset)
        again = preset.words_again if name == "words" else preset.speech_again
        own, compressed = compare(name, network, variants(network, **again))
        rows, data = rows + own, data | fingerprints
        if config.latency:
            times += latencies(name, compressed, network.inputs, network.adaptation, config.workdir / name / "onnx")
    text = markdown_table(shown(rows), COLUMNS)
    if times:
        text += "\n" + markdown_table(times, LATENCY_COLUMNS)
    plot(config.workdir, rows)
    return write_tables(config.workdir, text, rows + times, stamp(config.seed, sys.argv, data))


def _preset(config: Config) -> CompressionPreset:
    preset, updates = PRESETS[config.preset], config.updates
    if updates is None:
        return preset
    return preset._replace(
        words=preset.words._replace(updates=updates), words_early=updates,
        speech=preset.speech._replace(updates=updates), speech_early=min(updates, preset.speech_early),
    )  # fmt: skip


def _words(config: Config, preset: CompressionPreset) -> tuple[WordNetwork, dict[str, str]]:
    from jaxmeta.data.word_corpora import find_corpora, find_noise, load_words, noise_features
    from jaxmeta.words.compression import WordNetwork

    folders = find_corpora() if config.preset == "full" else []
    data = load_words(folders, invented=preset.words.pseudo, seed=config.seed)
    noise, directory = noise_features(find_noise(), seed=config.seed), config.workdir / "words"
    return WordNetwork(data, noise, preset.words, preset.words_early, directory, config.seed), data.fingerprints


def _recogniser(config: Config, preset: CompressionPreset) -> tuple[RecogniserNetwork, dict[str, str]]:
    from jaxmeta.data.synthesis.sentences import accented_sentences
    from jaxmeta.files.folders import data_folders
    from jaxmeta.recognition.compression import RecogniserNetwork
    from jaxmeta.recognition.corpora import read_corpora, with_read_aloud

    full = config.preset == "full"
    (folder,) = data_folders("en_nonnative_sentences") if full else [accented_sentences(config.seed)]
    speech = read_corpora([folder], seed=config.seed, drop=True)
    stages = {"supervised": (speech.train, preset.speech.updates)}
    if preset.speech_early:
        aloud = with_read_aloud(speech.train, speech.vocabulary, config.seed)
        stages = {"read_aloud": (aloud, preset.speech_early), **stages}
    val, test = (speech.held_out.select(split=split) for split in ("val", "test"))
    network = RecogniserNetwork(
        stages, val, test, speech.vocabulary, preset.speech, config.workdir / "recogniser", trained=config.speech,
        lengths=preset.lengths, seed=config.seed,
    )  # fmt: skip
    return network, speech.fingerprints


def shown(rows: Sequence[dict]) -> list[dict]:
    """The rows as the table has them: percent, with 95 % intervals."""
    return [
        row | {
            "network": f"{row['network']}, {row['test']}",
            "kB": row["bytes"] / 1000,
            "times smaller": row["float_bytes"] / row["bytes"],
            "before": _interval(row, "before"),
            "after": _interval(row, "after"),
            "change": _interval(row, "change", "+.1f"),
            "kB a user": row["user_bytes"] / 1000,
            "adapted, then compressed": _interval(row, "reversed"),
        }
        for row in rows
    ]  # fmt: skip


def _interval(row: dict, name: str, spec: str = ".1f") -> str | None:
    """ "value ± half" or "value (low to high)", as the row has it; None where it has no such figure."""
    from jaxmeta.metrics import interval_text

    if f"{name}_low" in row or name not in row:
        return interval_text(row, name, spec=spec)
    half = f" ± {row[f'{name}_half']:.1f}" if f"{name}_half" in row else ""
    return f"{row[name]:{spec}}{half}"


def plot(folder: Path, rows: Sequence[dict]) -> None:
    """What is right or wrong after adaptation against size, a picture for each network and test, a curve a kind."""
    from jaxmeta.training.report import plot_curves

    for network, test in dict.fromkeys((row["network"], row["test"]) for row in rows):
        own = [row for row in rows if (row["network"], row["test"]) == (network, test)]
        own.sort(key=lambda row: row["bytes"])
        series = {}
        for when in ("after", "before"):
            for kind in dict.fromkeys(row["kind"] for row in own):
                points = [row for row in own if row["kind"] == kind and when in row]
                half = [_half_width(row, when) for row in points]
                if any(half):  # Where there is no interval there is nothing to see: chance.
                    x, y = [row["bytes"] / 1000 for row in points], [row[when] for row in points]
                    series[f"{kind}, {when} adaptation"] = (x, y, half)
        what = "accuracy (%)" if network == "words" else "character error rate (%)"
        plot_curves(folder / f"{network}_{test.replace(' ', '_')}.png", series, "size (kB)", what, f"{network}, {test}")


def _half_width(row: dict, name: str) -> float:
    if f"{name}_low" in row:
        return (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    return row.get(f"{name}_half", 0.0)


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.compress", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
