"""What noise does to a recogniser, and what adaptation to a speaker in that noise gives back.

    python -m experiments.noise --preset quick                  # 5 minutes of processor time, no data
    JAXMETA_DATA=DIR python -m experiments.noise --preset full  # hours
    JAXMETA_DATA=DIR python -m experiments.noise --preset full --base FOLDER  # 11 minutes, such as Whisper tiny.en

A CTC recogniser of characters is trained on many speakers in noise of some types. Then speakers who were held out are
recognised in silence, in noise of seen and unseen types at 20, 10, 5 and 0 dB, and in rooms; unadapted, adapted to five
transcribed utterances in the same condition (by fine-tuning, and by MAML whose tasks were speakers in conditions), and
adapted at test time to the sound of what is to be recognised, without transcripts. The utterances are the same in every
condition. Rates and steps are chosen on validation speakers in seen noise, with the same grid for all.

The quick preset synthesises speech, noise and rooms; the full one reads `en_nonnative_sentences`, `noise_esc10` (half
of its types seen), `noise_long` and `rir_iosr` under JAXMETA_DATA. With a base its encoder stays frozen, a head is
trained on top of it, and the upper part of the head adapts. Writes results.json, results.md and a plot for each
group of noises. Expected of quick: 24.3 % of characters wrong in silence and 60.7 % at 0 dB of unseen noise; five
utterances take 3 to 9 points off. All numbers: README.md in this folder.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jaxmeta.recognition.presets import MetaTraining, RecogniserPreset, replaced

if TYPE_CHECKING:
    import numpy as np

    from experiments.noise.data import InNoise
    from jaxmeta.data.augmentation.conditions import Condition
    from jaxmeta.evaluation.choosing import ChosenMethod
    from jaxmeta.evaluation.conditions import ConditionProtocol
    from jaxmeta.recognition.corpora import TranscribedSpeech
    from jaxmeta.recognition.methods import AdaptationMethod
    from jaxmeta.types import PyTree


@dataclass(frozen=True)
class Config:
    """Recognition in noise, before and after adaptation."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech and noise, and how long to train."""
    methods: tuple[str, ...] = ()
    """Which methods; none: those of the preset."""
    updates: int | None = None
    """Updates of training in noise, instead of the preset's."""
    meta_updates: int | None = None
    """Updates of meta-training, instead of the preset's."""
    speakers: int | None = None
    """Test speakers, 2 or more, instead of the preset's number."""
    base: Path | None = None
    """Folder of a public encoder, for the full preset: it stays frozen, and a head is trained and adapts."""
    start: Path | None = None
    """Folder of a recogniser, such as `unadapted` of `adapt_asr`: training goes on from it, and fewer updates do."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/noise")
    """Checkpoints, logs and results; the same command resumes there."""


class Preset(NamedTuple):
    """How the recogniser is trained in noise, meta-trained and tested."""

    training: RecogniserPreset
    buckets: int
    """Padded lengths in training, each of which compiles the update again."""
    meta: MetaTraining
    speakers: int
    """Test speakers, each of whom is recognised in every condition."""
    rates: tuple[float, ...]
    steps: tuple[int, ...]
    """Tried with every rate, for every method alike."""
    methods: tuple[str, ...]


METHODS = ("fine-tune all", "maml", "test time", "test time, each")
PRESETS = {
    "quick": Preset(
        RecogniserPreset("gru", "tiny", 500, 3e-3, frames_per_batch=8_000, max_frames=360, dropout=0.0), 2,
        MetaTraining(30, 3e-4, tasks=4, support=5, query=5, steps=3, inner_rate=0.1, longest=360),
        speakers=10, rates=(0.01, 0.03, 0.1), steps=(2, 10), methods=METHODS[:3],
    ),
    "full": Preset(
        RecogniserPreset("gru", "small", 5_000, 3e-3, frames_per_batch=12_000, max_frames=800, dropout=0.1), 3,
        MetaTraining(150, 3e-4, tasks=4, support=5, query=5, steps=3, inner_rate=0.03, longest=500),
        speakers=20, rates=(0.003, 0.01, 0.03, 0.1, 0.3), steps=(1, 5, 20), methods=METHODS,
    ),
}  # fmt: skip
ON_BASE = PRESETS["full"]._replace(
    training=PRESETS["full"].training._replace(updates=800),
    meta=MetaTraining(100, 1e-3, tasks=2, support=5, query=5, steps=3, inner_rate=0.01, longest=200),
    methods=("fine-tune", "fine-tune by Adam", "maml", "test time"),
)
"""The full preset on a base; of the training of a head only the number of updates is read."""
SHARE, LOWEST, HIGHEST = 0.7, 0.0, 25.0
"""Of training utterances that get noise, and the range of its level in decibels."""
SNRS = (20.0, 10.0, 5.0, 0.0)
"""Decibels of signal over noise in the table, and in the tasks of meta-training."""
TUNED = ("seen 10 dB", "seen 0 dB")
"""Conditions in which rates and steps are chosen; types of noise that are unseen stay so."""
VALIDATION_SPEAKERS = 8
COLUMNS = {
    "condition": "", "method": "", "transcribed": "d", "rate": "g", "steps": "d", "CER": ("cer", "", ".1f"),
    "WER": ("wer", "", ".1f"), "change of CER": ("change", "", "+.1f"), "against the first": ("against", "", "+.1f"),
}  # fmt: skip


def main(config: Config) -> dict:
    """Train, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, too few speakers, an unknown method, or a working directory that holds another run.
    """
    from jaxmeta.evaluation.choosing import ChosenMethod
    from jaxmeta.evaluation.conditions import condition_protocols, condition_table

    if config.speakers is not None and config.speakers < 2:
        raise ValueError(f"speakers={config.speakers} must be 2 or more, for intervals resample speakers.")
    if config.base is not None and config.preset != "full":
        raise ValueError(f"base={config.base} is for recordings; add --preset full.")
    preset = _preset(config)
    trained = _own_network(config, preset) if config.base is None else _on_base(config.base, config, preset)
    speech, conditions = trained.speech, trained.conditions
    tuned = tuple(condition for condition in conditions if condition.name in TUNED)
    val, test = (
        condition_protocols(
            speech.held_out.select(split=split), trained.folder, speech.vocabulary, some, config.workdir / split,
            speakers=speakers, seed=config.seed, encode=trained.encode,
        )
        for split, some, speakers in (("val", tuned, VALIDATION_SPEAKERS), ("test", conditions, preset.speakers))
    )  # fmt: skip
    chosen = [_chosen(preset, trained, name, method, val) for name, method in trained.methods.items()]
    unadapted = ChosenMethod("unadapted", chosen[0].build, trained.weights, 0.0, 0)
    return _write(config, trained, condition_table(unadapted, chosen, test))


def _preset(config: Config) -> Preset:
    preset = PRESETS[config.preset] if config.base is None else ON_BASE
    preset = preset._replace(
        training=replaced(preset.training, updates=config.updates),
        meta=replaced(preset.meta, updates=config.meta_updates),
    )
    return replaced(preset, methods=config.methods or None, speakers=config.speakers)


def _on_base(base: Path, config: Config, preset: Preset) -> InNoise:
    from experiments.noise.data import on_base, recorded
    from jaxmeta.recognition.methods import select_methods

    folder, noises, conditions = recorded(SNRS, config.seed)
    trained = on_base(
        base, folder, noises, conditions, SNRS, preset.training.updates, preset.meta, config.workdir, config.seed
    )
    return trained._replace(methods=select_methods(trained.methods, preset.methods))


def _own_network(config: Config, preset: Preset) -> InNoise:
    from experiments.noise.data import InNoise
    from jaxmeta.data.augmentation.conditions import same_noise
    from jaxmeta.evaluation.result_cache import params_digest
    from jaxmeta.recognition.methods import adaptation_methods, for_each_utterance, select_methods, starting_params
    from jaxmeta.recognition.training import augmentation

    folder, speech, noise, conditions = _data(config)
    print(f"training on {speech.train.describe()}; {len(noise)} stretches of noise", file=sys.stderr)
    known = dict(adaptation_methods(speech.vocabulary.size, preset.training.encoder, preset.training.size))
    known["test time, each"] = for_each_utterance(known["test time"])
    methods = select_methods({name: known[name] for name in METHODS}, preset.methods)
    weights, digest = _train(config, preset, speech, noise), params_digest(noise)

    def start(name: str) -> PyTree:
        return starting_params(
            known[name], weights, speech.train, speech.vocabulary, preset.meta, config.workdir / name, seed=config.seed,
            config={"method": name, "noise": digest}, augment=same_noise(noise, SNRS, augmentation),
        )  # fmt: skip

    return InNoise(folder, speech, conditions, weights, methods, start, None, digest)


def _data(config: Config) -> tuple[Path, TranscribedSpeech, np.ndarray, tuple[Condition, ...]]:
    """The folder of the speech, the speech, log-mels of noise for training [M, L, F], and conditions for the test."""
    import numpy as np

    from experiments.noise.data import five_seconds, recorded
    from jaxmeta.data.augmentation.banks import coloured_noise
    from jaxmeta.data.augmentation.conditions import artificial_conditions
    from jaxmeta.data.features import extract
    from jaxmeta.data.synthesis.sentences import accented_sentences
    from jaxmeta.recognition.corpora import FEATURES, read_corpora

    if config.preset == "quick":
        folder = accented_sentences(config.seed)
        speech = read_corpora([folder], seed=config.seed, drop=True)
        voices = [folder / name for name in speech.train.columns["file_name"][::10]]
        waveforms = list(coloured_noise(48, seed=config.seed))
        conditions = artificial_conditions(voices, SNRS, config.seed)
    else:
        folder, noises, conditions = recorded(SNRS, config.seed)
        speech, waveforms = read_corpora([folder], seed=config.seed, drop=True), five_seconds(noises)
    return folder, speech, np.stack([extract(waveform, FEATURES) for waveform in waveforms]), conditions


def _train(config: Config, preset: Preset, speech: TranscribedSpeech, noise: np.ndarray) -> PyTree:
    """Weights of the recogniser that is trained on all speakers at once, in noise."""
    from jaxmeta.data.augmentation.spectral import mix_noise
    from jaxmeta.data.augmentation.transforms import sometimes
    from jaxmeta.evaluation.result_cache import params_digest
    from jaxmeta.models.acoustic import recogniser
    from jaxmeta.recognition.training import augmentation, train_on_all_speakers, weights_to_go_on_from

    training = preset.training
    start = None if config.start is None else weights_to_go_on_from(config.start, training, speech)
    return train_on_all_speakers(
        recogniser(speech.vocabulary.size, training.encoder, training.size, dropout=training.dropout), speech.train,
        speech.held_out.select(split="val"), speech.vocabulary, training, config.workdir / "multi_condition",
        evaluations=5, buckets=preset.buckets, seed=config.seed, params=start,
        augment=augmentation(sometimes(mix_noise(noise, LOWEST, HIGHEST), SHARE)),
        config={"noise": params_digest(noise), "start": None if start is None else params_digest(start)},
    )  # fmt: skip


def _chosen(
    preset: Preset, trained: InNoise, name: str, method: AdaptationMethod, val: list[ConditionProtocol]
) -> ChosenMethod:
    """A method, meta-trained in noise if it is one of those, with rate and steps chosen on validation speakers."""
    from jaxmeta.evaluation.choosing import ChosenMethod, choose
    from jaxmeta.evaluation.conditions import error_over_conditions

    params = trained.start(name)

    def error(rate: float, steps: int) -> float:
        return error_over_conditions(val, ChosenMethod(name, method.build, params, rate, steps, labels=method.labels))

    rates = [(method.scale or 1.0) * rate for rate in preset.rates]
    return choose(name, method.build, params, error, rates, preset.steps, labels=method.labels)


def _write(config: Config, trained: InNoise, rows: list[dict]) -> dict[str, Any]:
    """Print the table and write results.json, results.md and the plots."""
    from jaxmeta.evaluation.plots import plot_error_rates
    from jaxmeta.training.report import interval_table, stamp, write_tables

    for kind in dict.fromkeys(row["kind"] for row in rows if row["snr"] is not None):
        own = [row for row in rows if row["kind"] == kind]
        plot_error_rates(config.workdir / f"{kind}.png", own, "snr", f"signal over {kind} noise (dB)")
    run = stamp(config.seed, sys.argv, trained.speech.fingerprints | {"noise": trained.noise})
    return write_tables(config.workdir, interval_table(rows, COLUMNS), rows, run)


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.noise", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
