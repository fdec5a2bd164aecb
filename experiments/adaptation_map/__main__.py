"""Where does adaptation pay, and what does a meta-learned start add? Words, languages, channels and speakers.

    python -m experiments.adaptation_map --preset quick                              # no data, no download
    JAXMETA_DATA=DIR python -m experiments.adaptation_map --preset full --base FOLDER  # such as Whisper tiny.en

The encoder stays frozen and runs once for each recording. On top of it a head for CTC is trained on all speakers, and
its lowest layer is frozen too. The start of what is above is then meta-learned, with vocabularies, channels or speakers
as tasks. It adapts to 1, 5, 10 or 20 utterances of what training lacked:

- language: word sequences of languages whose words were never trained on, in slots that start anew;
- channel: speakers over a telephone, in measured rooms and in noise, none of which meta-training knew;
- vocabulary: words that no training utterance had, recognised in other sentences, and what the others lose;
- speaker: speakers who were held out.

Each gain stands beside that from somebody else's utterances: of another language, channel, word or speaker. Rates and
steps are chosen on validation data, with the same grid for every method. The quick preset trains a recogniser of its
own on synthesised sentences, whose body is the frozen encoder.

Two commands stand beside it: `experiments.adaptation_map.zero_shot`, a public Whisper without any adaptation, and
`experiments.adaptation_map.taught_channels`, where all of a trained recogniser adapts.

Writes results.json and results.md, anew after each shift. All numbers: README.md in this folder.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxmeta.recognition.presets import MetaTraining, ShiftTraining, replaced

if TYPE_CHECKING:
    from jaxmeta.evaluation.choosing import ChosenMethod
    from jaxmeta.recognition.shifts.shift import Encoder, Shift

Name = Literal["language", "channel", "vocabulary", "speaker"]


@dataclass(frozen=True)
class Config:
    """Gain of adaptation against the shift and the number of utterances."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech, and how long to train."""
    base: Path | None = None
    """Folder of a public encoder, for the full preset."""
    unused_layers: int = 0
    """Uppermost layers of it that are left out."""
    shifts: tuple[Name, ...] = ("language", "channel", "vocabulary", "speaker")
    """Which ones."""
    methods: tuple[str, ...] = ()
    """How starts are meta-learned; none: those of the preset."""
    updates: int | None = None
    """Updates of a head on the frozen encoder, instead of the preset's."""
    meta_updates: int | None = None
    """Updates of meta-training, instead of the preset's."""
    speakers: int | None = None
    """Test speakers, 2 or more, instead of the preset's number."""
    seed: int = 0
    """Of everything random but the recordings of the test, which stay the same."""
    workdir: Path = Path("runs/adaptation_map")
    """Checkpoints, logs and results; the same command resumes there."""


PRESETS = {
    "quick": ShiftTraining(
        200, 100, 16, 72, 1, 600, (24, 10), (10, 12), (6, 8), 1, 40,
        MetaTraining(20, 1e-3, tasks=2, support=5, query=5, steps=3, inner_rate=0.1, longest=120),
        MetaTraining(20, 1e-3, tasks=2, support=10, query=5, steps=3, inner_rate=0.3, longest=0),
        ("maml", "prototypes"),
    ),
    "full": ShiftTraining(
        800, 400, 24, 128, 1, 2_700, (120, 11), (20, 10), (10, 30), 3, 200,
        MetaTraining(60, 1e-3, tasks=2, support=5, query=5, steps=3, inner_rate=0.1, longest=400),
        MetaTraining(250, 2e-3, tasks=2, support=20, query=10, steps=5, inner_rate=0.1, longest=0),
        ("maml", "layer_rates", "prototypes", "test time"),
    ),
}  # fmt: skip
RATES, STEPS, WORD_STEPS = (0.03, 0.1, 0.3, 1.0), (5, 20, 60), (20, 60, 150)
COLUMNS: dict[str, str | tuple[str, str, str]] = {
    "shift": "", "method": "", "utterances": "d", "rate": "g", "steps": "d", "error": ("error", "", ".1f"),
    "change": ("change", "", "+.1f"), "own": ("own", "", "+.1f"), "against": ("against", "", "+.1f"),
    "half": ("half", "", "+.1f"), "harmed": "d", "groups": "d",
}  # fmt: skip
GATE_COLUMNS: dict[str, str | tuple[str, str, str]] = {
    "shift": "", "method": "", "utterances": "d", "adopted": "d", "groups": "d",
    "error with the gate": ("gated", "", ".1f"), "harmed": "d",
}  # fmt: skip


def main(config: Config) -> dict[str, Any]:
    """Train, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, too few speakers, an unknown method, or a working directory that holds another run.
    """
    from experiments.adaptation_map.data import frozen_encoder
    from jaxmeta.evaluation.shifts.gains import gain_rows
    from jaxmeta.recognition.gate_evaluation import gate_row
    from jaxmeta.training.report import interval_table, stamp, write_tables

    if config.preset == "full" and config.base is None:
        print("skipped: the full preset needs --base FOLDER of a public encoder, such as Whisper tiny.en")
        return {}
    if config.speakers is not None and config.speakers < 2:
        raise ValueError(f"speakers={config.speakers} must be 2 or more, for intervals resample speakers.")
    preset = PRESETS[config.preset]
    preset = replaced(
        preset, updates=config.updates, meta=replaced(preset.meta, updates=config.meta_updates),
        word_meta=replaced(preset.word_meta, updates=config.meta_updates),
        methods=config.methods or None, speakers=config.speakers and (preset.speakers[0], config.speakers),
    )  # fmt: skip
    base = config.base if config.preset == "full" else None
    encoder = frozen_encoder(base, config.workdir, config.seed, config.unused_layers)
    rows: list[dict[str, Any]] = []
    gates: list[dict[str, Any]] = []
    fingerprints: dict[str, str] = {"encoder": encoder.sha256}
    result: dict[str, Any] = {}
    for name in config.shifts:
        shift = make_shift(name, encoder, preset, config)
        fingerprints |= shift.fingerprints
        methods = _methods(config, preset, shift, name)
        for protocol in shift.tests:
            rows += gain_rows(methods, protocol, shift.shots)
            gates += [gate_row(method, protocol, shift.shots[-1]) for method in _finalists(methods)]
            tables = f"{interval_table(rows, COLUMNS)}\n{interval_table(gates, GATE_COLUMNS)}"
            result = write_tables(config.workdir, tables, rows + gates, stamp(config.seed, sys.argv, fingerprints))
    return result


def make_shift(name: Name, encoder: Encoder, preset: ShiftTraining, config: Config) -> Shift:
    """The speech of a shift, encoded, and the head that is trained without it."""
    from experiments.adaptation_map import data
    from jaxmeta.recognition.shifts.shift import language_shift, sentence_shift

    given = (encoder, preset, config.seed, config.workdir)
    if name == "language":
        words = data.recorded_words if encoder.public else data.synthesised_words
        return language_shift(words(encoder.features, encoder.frames_out, preset.words), *given)
    sentences = data.recorded_sentences if encoder.public else data.synthesised_sentences
    return sentence_shift(sentences(encoder.features), *given, name)


def _methods(config: Config, preset: ShiftTraining, shift: Shift, shift_name: Name) -> list[ChosenMethod]:
    """The better way to fine-tune, and every meta-learned start, with rates and steps chosen on validation data."""
    from jaxmeta.evaluation.choosing import ChosenMethod, choose
    from jaxmeta.evaluation.shifts.gains import error_over
    from jaxmeta.recognition.methods import select_methods
    from jaxmeta.recognition.pretrained.meta_training import FINE_TUNING, FINE_TUNING_ADAM, TEST_TIME, meta_train
    from jaxmeta.recognition.shifts.word_prototypes import PROTOTYPES

    # Prototypes are of words, and without labels there is nothing to be learnt of new ones.
    left_out = {TEST_TIME} if shift_name == "language" else {PROTOTYPES}
    names = [name for name in preset.methods if name not in left_out]
    chosen = []
    for name, method in select_methods(shift.methods, (FINE_TUNING, FINE_TUNING_ADAM, *names)).items():
        params = meta_train(
            method, shift.start, shift.tasks, shift.meta, config.workdir / shift_name / name, width=shift.upper.width,
            seed=config.seed, config={"method": name, "data": shift.fingerprints}, augment=shift.augment,
        )  # fmt: skip

        def error(rate: float, steps: int, name=name, method=method, params=params) -> float:
            return error_over(shift.val, ChosenMethod(name, method.build, params, rate, steps), shift.shots[-1])

        rates = (shift.meta.inner_rate,) if method.scale is None else [method.scale * rate for rate in RATES]
        steps = WORD_STEPS if shift_name == "language" else STEPS
        chosen.append(
            choose(name, method.build, params, error, rates, steps, first_steps=steps[1], labels=method.labels)
        )
    tuned = min(chosen[:2], key=lambda method: method.error)
    return [tuned, *chosen[2:]]


def _finalists(methods: list[ChosenMethod]) -> list[ChosenMethod]:
    """Fine-tuning, and the best of the meta-learned starts on validation data, if there are any."""
    return [
        methods[0],
        *sorted((method for method in methods[1:] if method.labels), key=lambda method: method.error)[:1],
    ]


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.adaptation_map", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
