"""Adapt a speech recogniser to a new speaker from one to ten transcribed utterances.

    python -m experiments.adapt_asr --preset quick                  # 6 minutes of processor time, no data
    JAXMETA_DATA=DIR python -m experiments.adapt_asr --preset full  # hours

A CTC recogniser of characters is trained on many speakers at once. Then speakers who were held out each give a few
utterances, and every method adapts it to them on the same protocol: fine-tuning (all weights, the head, norms and
biases, low-rank adapters), second-order MAML through CTC and its relatives, meta-trained from the same weights, and
test-time adaptation without transcripts. Rates and steps are chosen on validation speakers, with the same grid for all.
Two controls: each speaker is recognised by what adapted to another one, for what any inner step gives is not the voice;
and errors on the speakers of training tell what adaptation breaks (forgetting). A gate adapts only where the
cross-validated gain on the support set is certain.

The quick preset synthesises short English sentences with accents; the full one reads `en_nonnative_sentences` under
JAXMETA_DATA. Writes results.json, results.md, plots, a folder `recogniser` that `jaxmeta adapt` and `jaxmeta
transcribe` take, and `unadapted` with the recogniser before any adaptation; the quick preset also `voice`, twenty
recordings of a voice to try them on. Expected of quick: 16.8 % of characters wrong before adaptation, 13.5 % after five
utterances. All numbers: README.md in this folder.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jaxmeta.recognition.presets import MetaTraining, RecogniserPreset, replaced

if TYPE_CHECKING:
    from jaxmeta.evaluation.adaptation import AdaptationProtocol
    from jaxmeta.evaluation.choosing import ChosenMethod
    from jaxmeta.recognition.corpora import TranscribedSpeech
    from jaxmeta.recognition.methods import AdaptationMethod
    from jaxmeta.recognition.recogniser import Recogniser
    from jaxmeta.types import PyTree


@dataclass(frozen=True)
class Config:
    """Adaptation of a recogniser to new speakers."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech, and how long to train."""
    methods: tuple[str, ...] = ()
    """Which methods; none: all of them (full), or some of each kind (quick)."""
    updates: int | None = None
    """Updates of supervised training, instead of the preset's."""
    meta_updates: int | None = None
    """Updates of meta-training, instead of the preset's."""
    speakers: int | None = None
    """Validation speakers, and test speakers, 2 or more; none: all."""
    curves: bool = True
    """Evaluate other numbers of steps, and a language model, too."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/adapt_asr")
    """Checkpoints, logs and results; the same command resumes there."""


class Preset(NamedTuple):
    """How the recogniser is trained, meta-trained and tested."""

    training: RecogniserPreset
    read_aloud_updates: int
    """Before, on the recordings and their transcripts read by artificial voices."""
    meta: MetaTraining
    lengths: int
    """That test speakers are padded to, each a program that takes as long to compile as to run."""


PRESETS = {
    "quick": Preset(
        RecogniserPreset("gru", "tiny", 600, 3e-3, frames_per_batch=8_000, max_frames=400, dropout=0.0), 0,
        MetaTraining(30, 3e-4, tasks=4, support=5, query=5, steps=3, inner_rate=0.1, longest=300), 1,
    ),
    "full": Preset(
        RecogniserPreset("gru", "small", 3_000, 3e-3, frames_per_batch=12_000, max_frames=800, dropout=0.1), 2_000,
        MetaTraining(150, 3e-4, tasks=4, support=5, query=5, steps=3, inner_rate=0.03, longest=500), 2,
    ),
}  # fmt: skip
QUICK_METHODS = ("fine-tune all", "maml", "test time")
SHOTS, STEPS = (1, 2, 5, 10), (1, 2, 5, 10, 20)
CHOSEN = 5
"""Utterances at which rates and steps are chosen, and inner steps with which rates are."""
COLUMNS = {
    "method": "", "shots": "d", "rate": "g", "steps": "d", "CER": ("cer", "", ".1f"), "WER": ("wer", "", ".1f"),
    "avoided": ("gain", " %", ".1f"), "against fine-tuning": ("against", "", "+.1f"),
    "own": ("own", "", "+.1f"),
}  # fmt: skip
GATE_COLUMNS = {
    "method": "", "shots": "d", "adopted": "d", "speakers": "d", "CER with the gate": ("gated", "", ".1f"),
    "source": ".1f", "forgetting": ("backward", "", "+.1f"),
}  # fmt: skip
SEARCH_COLUMNS = {"greedy": ".1f", "searched": ".1f", "change": ("change", "", "+.1f")}


def main(config: Config) -> dict:
    """Train, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, too few speakers, an unknown method, or a working directory that holds another run.
    """
    from jaxmeta.data.synthesis.sentences import accented_sentences
    from jaxmeta.files.folders import data_folders
    from jaxmeta.recognition.corpora import copy_voice, read_corpora
    from jaxmeta.recognition.methods import adaptation_methods, ready_to_adapt, select_methods
    from jaxmeta.recognition.recogniser import save_recogniser

    if config.speakers is not None and config.speakers < 2:
        raise ValueError(f"speakers={config.speakers} must be 2 or more, for intervals resample speakers.")
    quick, preset = config.preset == "quick", _preset(config)
    (folder,) = [accented_sentences(config.seed)] if quick else data_folders("en_nonnative_sentences")
    speech = read_corpora([folder], seed=config.seed, drop=True)
    known = adaptation_methods(speech.vocabulary.size, preset.training.encoder, preset.training.size)
    methods = select_methods(known, config.methods or (QUICK_METHODS if quick else tuple(known)))
    print(f"training on {speech.train.describe()}, {speech.vocabulary.size - 1} characters", file=sys.stderr)
    recogniser = _train(config, preset, speech)
    save_recogniser(config.workdir / "unadapted", recogniser)
    val, test, others = _protocols(config, preset, speech)
    chosen = {
        name: _adapted(config, preset, speech, recogniser.params, name, method, val) for name, method in methods.items()
    }
    if able := [name for name in methods if methods[name].adapts]:
        best = min(able, key=lambda name: chosen[name].error)
        save_recogniser(config.workdir / "recogniser", ready_to_adapt(recogniser, methods[best], chosen[best]))
    if quick:
        copy_voice(speech.held_out.select(split="test"), folder, config.workdir / "voice")
    return _compare(config, speech, recogniser, list(chosen.values()), test, others)


def _preset(config: Config) -> Preset:
    preset = PRESETS[config.preset]
    return preset._replace(
        training=replaced(preset.training, updates=config.updates),
        meta=replaced(preset.meta, updates=config.meta_updates),
    )


def _train(config: Config, preset: Preset, speech: TranscribedSpeech) -> Recogniser:
    """The recogniser that is trained on all speakers at once, in one stage or two."""
    from jaxmeta.models.acoustic import SIZES, recogniser
    from jaxmeta.recognition.corpora import FEATURES, with_read_aloud
    from jaxmeta.recognition.recogniser import Recogniser, RecogniserCard
    from jaxmeta.recognition.training import train_in_stages
    from jaxmeta.training.report import stamp

    training, vocabulary = preset.training, speech.vocabulary
    stages = {"supervised": (speech.train, training.updates)}
    if preset.read_aloud_updates:
        aloud = with_read_aloud(speech.train, vocabulary, config.seed)
        stages = {"read_aloud": (aloud, preset.read_aloud_updates), **stages}
    size = SIZES[training.encoder][training.size]
    params = train_in_stages(
        recogniser(vocabulary.size, training.encoder, size, dropout=training.dropout), stages,
        speech.held_out.select(split="val"), vocabulary, training, config.workdir, seed=config.seed,
    )  # fmt: skip
    origin = stamp(config.seed, sys.argv, speech.fingerprints)
    return Recogniser(RecogniserCard(training.encoder, size._asdict(), FEATURES, origin=origin), vocabulary, params)


def _protocols(config: Config, preset: Preset, speech: TranscribedSpeech) -> tuple[AdaptationProtocol, ...]:
    """Validation, test, and test by what adapted to others; padded alike so that a method's programs serve them all."""
    from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
    from jaxmeta.evaluation.adaptation import AdaptationProtocol, padded_lengths, supports_of_others

    def episodes(split: str):
        corpus = speech.held_out.select(split=split)
        drawn = adaptation_episodes(corpus, speech.vocabulary, supports=(0, *SHOTS), query=10, seed=config.seed)
        return replace(drawn, groups=drawn.groups[: config.speakers])

    val, test = episodes("val"), episodes("test")
    lengths = padded_lengths((val, test), preset.lengths)
    parts = {"val": val, "test": test, "others": supports_of_others(test)}
    return tuple(
        AdaptationProtocol(part, speech.vocabulary, config.workdir / name, lengths, sizes=(CHOSEN,))
        for name, part in parts.items()
    )


def _adapted(
    config: Config, preset: Preset, speech: TranscribedSpeech, weights: PyTree, name: str, method: AdaptationMethod,
    val: AdaptationProtocol,
) -> ChosenMethod:  # fmt: skip
    """A method, meta-trained if it is one of those, with the rate and steps that are best on validation speakers."""
    from jaxmeta.decoding.error_rates import error_rate
    from jaxmeta.evaluation.choosing import choose
    from jaxmeta.recognition.methods import starting_params

    params = starting_params(
        method, weights, speech.train, speech.vocabulary, preset.meta, config.workdir / name, seed=config.seed,
        config={"method": name},
    )  # fmt: skip

    def error(rate: float, steps: int) -> float:
        return error_rate(val.transcribe(name, method.build, params, CHOSEN, rate, steps).characters)

    return choose(
        name, method.build, params, error, method.grid(preset.meta.inner_rate), STEPS, first_steps=CHOSEN,
        labels=method.labels,
    )  # fmt: skip


def _compare(
    config: Config, speech: TranscribedSpeech, recogniser: Recogniser, methods: list[ChosenMethod],
    test: AdaptationProtocol, others: AdaptationProtocol,
) -> dict[str, Any]:  # fmt: skip
    """Test the methods, print the tables, and write results.json, results.md and the plots."""
    from jaxmeta.evaluation.adaptation_curves import step_curve, utterance_curve
    from jaxmeta.evaluation.forgetting import forgetting
    from jaxmeta.evaluation.plots import plot_error_rates
    from jaxmeta.recognition.gate_evaluation import evaluate_gate
    from jaxmeta.recognition.searching import search_gain
    from jaxmeta.training.report import interval_table, stamp, write_tables

    tuned, rest = ([m for m in methods if m.labels and m.name.startswith("fine-tune") == own] for own in (True, False))
    finalists = [min(group, key=lambda method: method.error) for group in (tuned, rest) if group]
    baseline = finalists[0] if tuned else None
    rows = utterance_curve(methods, test, (0, *SHOTS), baseline=baseline, others=others, others_shots=CHOSEN)
    steps = step_curve(finalists, test, CHOSEN, (0, *STEPS)) if config.curves else []
    safety = [
        evaluate_gate(method, test) | forgetting(method, test, speech.train, seed=config.seed) for method in finalists
    ]
    val, search = speech.held_out.select(split="val"), []
    if config.curves:
        search = [
            {"method": "language model"} | search_gain(recogniser, speech.train, val, config.workdir / "words.arpa")
        ]
    parts = ((rows, COLUMNS), (safety, GATE_COLUMNS), (search, SEARCH_COLUMNS))
    tables = "\n".join(interval_table(*part) for part in parts)
    run = stamp(config.seed, sys.argv, speech.fingerprints)
    plot_error_rates(config.workdir / "utterances.png", rows, "shots", "utterances of the speaker")
    if steps:
        plot_error_rates(config.workdir / "steps.png", steps, "steps", f"inner steps on {CHOSEN} utterances")
    return write_tables(config.workdir, tables, rows + steps + safety + search, run)


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.adapt_asr", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
