"""Adapt speech systems to languages that they never heard, and learn languages one after another.

    python -m experiments.languages --preset quick                       # no data needed
    python -m experiments.languages --preset quick --target translation
    JAXMETA_DATA=DIR python -m experiments.languages --preset full       # hours
    python -m experiments.languages --preset full --target translation --base FOLDER  # such as Whisper base

Few utterances: a recogniser of characters with one vocabulary for all languages is trained on several of them, then
meta-trained with languages as tasks; it meets new languages, Mandarin among them, in 5, 10 or 20 utterances, and is
scored on other phrases by speakers whom it never heard. Rates and steps are chosen on one more language.

One after another: languages are learnt in turn by fine-tuning, by fine-tuning with replay of some stored utterances,
and by progressive columns, each language with the same budget. Printed are the error of every language after every
step and the transfer, forward against learning from scratch and backward. Columns are told which language is spoken;
the other two are not.

`--target translation` trains an encoder-decoder to write the English of phrases in other languages instead, and adapts
it to new source languages. Its full preset is about numbers below 100, on the frozen encoder of a public Whisper of
many languages; beside it stand the nearest utterance and Whisper's own decoder, which are not trained.

Speech is synthesised, but for the full preset of transcription: that reads recorded words from `zh_en_words` and
`ar_commands` under JAXMETA_DATA, English and Arabic ones to train on and Mandarin ones to adapt to, and writes labels
of whole words. Writes results.json, results.md and plots. Expected of quick: 40.1, 49.9 and 70.3 % of characters wrong
in Italian, Turkish and Mandarin after 20 utterances. All numbers: README.md in this folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from jaxmeta.recognition.presets import LanguageTraining, MetaTraining, replaced

if TYPE_CHECKING:
    from experiments.languages.data import Languages
    from jaxmeta.types import MetaLearner, PyTree

Part = Literal["few-shot", "sequence"]
Target = Literal["transcription", "translation"]


@dataclass(frozen=True)
class Config:
    """Adaptation to languages, and learning them one after another."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech, and how long to train."""
    target: Target = "transcription"
    """What is written: what is said, or its English translation."""
    base: Path | None = None
    """Folder of a public Whisper of many languages, for the full preset of translation."""
    parts: tuple[Part, ...] = ("few-shot", "sequence")
    """Which questions to answer; translation has no sequence."""
    methods: tuple[Literal["maml", "fomaml", "maml_shuffled"], ...] = ("maml",)
    """How weights are meta-trained, beside those that are not; the last one with words in new places in each task."""
    updates: int | None = None
    """Updates of supervised training, instead of the preset's."""
    meta_updates: int | None = None
    """Updates of meta-training, instead of the preset's."""
    language_updates: int | None = None
    """Updates for each language of the sequence, instead of the preset's."""
    draws: int | None = None
    """Support sets of each size for a language, instead of the preset's."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/languages")
    """Checkpoints, logs and results, a folder for each target; the same command resumes there."""


class LanguagePreset(NamedTuple):
    """How a target is trained and tested."""

    voices: int
    """Artificial speakers that say each phrase, where speech is synthesised."""
    width: int
    """Of two recurrent layers."""
    dropout: float
    updates: int
    """Of supervised training on the languages of pretraining."""
    each: LanguageTraining
    """Of each language in the sequence; but for the updates and replay, of pretraining too."""
    meta: MetaTraining
    rates: tuple[float, ...]
    """To choose from on the validation language."""
    steps: tuple[int, ...]
    """Inner ones in tests, to choose from with every rate."""
    draws: int
    """Support sets of each size for a language."""
    queries: int
    """Test utterances of a language."""


_QUICK = LanguagePreset(
    2, 72, 0.0, 900, LanguageTraining(150, 5e-3, batch_size=32, max_frames=240, stored=20, replayed=8),
    MetaTraining(40, 5e-4, tasks=4, support=10, query=10, steps=3, inner_rate=3e-3, longest=240),
    rates=(3e-3, 1e-2), steps=(20,), draws=2, queries=60,
)  # fmt: skip
_FULL = LanguagePreset(
    6, 112, 0.1, 4_000, LanguageTraining(500, 3e-3, batch_size=32, max_frames=400, stored=50, replayed=8),
    MetaTraining(400, 5e-4, tasks=4, support=20, query=10, steps=5, inner_rate=3e-3, longest=400),
    rates=(1e-3, 3e-3, 1e-2), steps=(30,), draws=3, queries=200,
)  # fmt: skip
PRESETS: Mapping[tuple[Target, str], LanguagePreset] = {
    ("transcription", "quick"): _QUICK,
    ("transcription", "full"): _FULL,
    ("translation", "quick"): _QUICK._replace(updates=2_000),
    ("translation", "full"): LanguagePreset(
        2, 96, 0.1, 1_500, LanguageTraining(0, 3e-3, batch_size=32, max_frames=120),
        MetaTraining(300, 2e-3, tasks=2, support=20, query=10, steps=5, inner_rate=1e-2, longest=120),
        rates=(1e-3, 3e-3, 1e-2, 3e-2), steps=(10, 30, 100), draws=3, queries=200,
    ),
}  # fmt: skip
DEPTH, SHOTS, BEAM, LONGEST_TRANSLATION = 2, (5, 10, 20), 4, 12
CHOSEN_SHOTS = 10
"""Utterances at which rates are chosen."""
FEW_SHOT_COLUMNS = {
    "language": "", "utterances": "d", "method": "", "rate": "g", "steps": "d", "error": ("error", "", ".1f"),
    "exact": ".1f", "against": ("against", "", "+.1f"),
}  # fmt: skip
TRANSFER_COLUMNS = {
    "method": "", "language": "", "scratch": ".1f", "learnt": ".1f", "forward": "+.1f", "forward_low": "+.1f",
    "forward_high": "+.1f", "backward": "+.1f", "backward_low": "+.1f", "backward_high": "+.1f",
}  # fmt: skip


def main(config: Config) -> dict:
    """Train, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, or a working directory that holds another run.
    """
    from experiments.languages.data import recorded_words, spoken_numbers, spoken_phrases
    from jaxmeta.evaluation.languages import plot_languages
    from jaxmeta.evaluation.transfer import plot_matrices
    from jaxmeta.training.report import interval_table, markdown_table, stamp, write_tables

    preset, translated, folder = _preset(config), config.target == "translation", config.workdir / config.target
    if (config.base is not None) != (translated and config.preset == "full"):
        raise ValueError(f"base={config.base}: the full preset of translation needs one, and nothing else takes one.")
    if config.base is not None:
        data = spoken_numbers(config.base, preset.voices, config.seed)
    elif config.preset == "full":
        data = recorded_words(config.seed)
    else:
        data = spoken_phrases(preset.voices, config.seed, translated)
    print(f"{data.corpus.describe()}; {data.vocabulary.size - 1} units", file=sys.stderr)
    rate, text, rows = f"{data.vocabulary.level} error rate (%)", "", []
    if "few-shot" in config.parts:
        adapted = few_shot(config, preset, data, folder)
        text += f"{rate} in languages never heard before; against: points more than fine-tuning\n\n"
        text += interval_table(adapted, FEW_SHOT_COLUMNS)
        rows += [{"part": "few-shot"} | row for row in adapted]
        plot_languages(folder, adapted, rate)
    if "sequence" in config.parts and not translated:
        matrices, transfer = sequence(config, preset, data, folder)
        columns = {"method": "", "after": ""} | dict.fromkeys(data.sequence, ".1f")
        text += f"\n{rate} of each language after learning one more\n\n{markdown_table(matrices, columns)}"
        text += "\ntransfer in percentage points: forward against from scratch, backward since it was learnt\n\n"
        text += markdown_table(transfer, TRANSFER_COLUMNS)
        rows += [{"part": "matrix"} | row for row in matrices] + [{"part": "transfer"} | row for row in transfer]
        plot_matrices(folder / "sequence.png", matrices, rate)
    return write_tables(folder, text, rows, stamp(config.seed, sys.argv, data.fingerprints))


def few_shot(config: Config, preset: LanguagePreset, data: Languages, folder: Path) -> list[dict]:
    """Rows of the trained and the meta-trained weights, adapted to languages never heard."""
    from jaxmeta import forward_only
    from jaxmeta.data.sampling.by_language import language_episodes
    from jaxmeta.data.synthesis.phrases import cached_phrases
    from jaxmeta.decoding.error_rates import error_rate
    from jaxmeta.evaluation.adaptation import AdaptationProtocol, supports_of_others
    from jaxmeta.evaluation.choosing import choose
    from jaxmeta.evaluation.languages import language_table
    from jaxmeta.recognition.languages.untrained import nearest_utterance, whisper_rows

    (learner, decode), count = learner_and_decoder(config, preset, data), count_edits(data)
    longest = [preset.each.max_frames]
    params = starts(config, preset, data, folder, learner)

    def build(rate: float, steps: int) -> MetaLearner:
        return learner(rate, steps, forward_only())

    def protocol(split: str, languages: tuple[str, ...]) -> AdaptationProtocol:
        episodes = language_episodes(
            data.corpus, data.vocabulary, languages, split, supports=SHOTS, draws=preset.draws, query=preset.queries,
            max_frames=longest[0], seed=config.seed,
        )  # fmt: skip
        return AdaptationProtocol(episodes, data.vocabulary, folder / split, longest, sizes=SHOTS[:1], decode=decode)

    def error(name: str, rate: float, steps: int) -> float:
        texts = val.transcribe(name, build, params[name], CHOSEN_SHOTS, rate, steps)
        return error_rate(count(texts.references, texts.hypotheses))

    val, test = protocol("val", (data.validation,)), protocol("test", data.unseen)
    methods = [
        choose(name, build, weights, partial(error, name), preset.rates, preset.steps)
        for name, weights in params.items()
    ]
    control = methods[0]._replace(name=f"{methods[0].name}, another language")
    others = AdaptationProtocol(
        supports_of_others(test.episodes, preset.draws), data.vocabulary, folder / "others", longest, decode=decode
    )
    if config.base is not None:
        methods.append(nearest_utterance(data.corpus.select(language=data.pretraining, split="train")))
    rows = language_table(methods, test, (0, *SHOTS), count) + language_table([control], others, SHOTS[-1:], count)
    if config.base is None:
        return rows
    return rows + whisper_rows(config.base, cached_phrases(preset.voices, config.seed), test.episodes, count)


def starts(
    config: Config, preset: LanguagePreset, data: Languages, folder: Path, learner: Callable
) -> dict[str, PyTree]:
    """What each method starts from: the weights that are trained on languages at once, and meta-trained ones."""
    from jaxmeta import first_order, mixed_mode
    from jaxmeta.recognition.languages.training import meta_train_on_languages, train_on_languages
    from jaxmeta.recognition.pretrained.training import activation_masks

    speech, meta = (data.corpus, data.vocabulary, data.pretraining), preset.meta
    decides = {"width": preset.width, "dropout": preset.dropout, "data": data.fingerprints}
    training = preset.each._replace(updates=preset.updates, stored=0, replayed=0)
    augment = None if config.base is None else activation_masks(data.corpus.frames.shape[1])
    start = train_on_languages(
        learner(0.0, 0, first_order()), *speech, training, folder / "pretraining", seed=config.seed, config=decides,
        augment=augment,
    )  # fmt: skip
    params = {"fine-tuning": start}
    for name in config.methods:
        meta_learner = learner(meta.inner_rate, meta.steps, first_order() if name == "fomaml" else mixed_mode())
        params[name] = meta_train_on_languages(
            meta_learner, *speech, meta, folder / name, params=start, seed=config.seed,
            config=decides | {"method": name, "pretraining": training._asdict()}, augment=augment,
            shuffled=name == "maml_shuffled",
        )  # fmt: skip
    return params


def sequence(config: Config, preset: LanguagePreset, data: Languages, folder: Path) -> tuple[list[dict], list[dict]]:
    """Errors of every language after every step, and transfer, of each way to learn languages in turn."""
    from jaxmeta.models.acoustic import Size
    from jaxmeta.models.acoustic_layers import recogniser_layers
    from jaxmeta.recognition.languages.sequence import LanguageSequence

    learning = LanguageSequence(
        recogniser_layers(data.vocabulary.size, Size(preset.width, DEPTH)), data.corpus, data.vocabulary,
        data.sequence, preset.each, folder / "sequence", count=count_edits(data), seed=config.seed,
        config={"width": preset.width, "data": data.fingerprints},
    )  # fmt: skip
    return learning.run().tables(data.sequence)


def learner_and_decoder(config: Config, preset: LanguagePreset, data: Languages) -> tuple[Callable, Callable]:
    """(rate, steps, estimator) -> MAML of the network of the target, and what makes labels of its predictions."""
    from jaxmeta import maml
    from jaxmeta.decoding.greedy import greedy
    from jaxmeta.models.acoustic import Size, recogniser
    from jaxmeta.models.seq2seq import seq2seq
    from jaxmeta.optimizers import adam
    from jaxmeta.recognition.adaptation import LOSS
    from jaxmeta.recognition.languages.translation import translator

    classes, size, dropout = data.vocabulary.size, Size(preset.width, DEPTH), preset.dropout
    if config.target == "translation":
        kind, frozen = ("gru", False) if config.base is None else ("dnn", True)
        decoder = seq2seq(classes, kind, size, decoder_layers=1, dropout=dropout, activations=frozen)
        return partial(translator, decoder, longest=LONGEST_TRANSLATION, beam=BEAM), lambda labels: labels
    model = recogniser(classes, "gru", size, dropout=dropout)
    return lambda rate, steps, estimator: maml(model, LOSS, adam(rate), steps, estimator), greedy


def count_edits(data: Languages) -> Callable:
    """Counts errors in characters, or in words where words are what is written."""
    from jaxmeta.decoding.error_rates import character_edits, word_edits

    return character_edits if data.vocabulary.level == "character" else word_edits


def _preset(config: Config) -> LanguagePreset:
    preset = PRESETS[config.target, config.preset]
    return replaced(
        preset, updates=config.updates, draws=config.draws, each=replaced(preset.each, updates=config.language_updates),
        meta=replaced(preset.meta, updates=config.meta_updates),
    )  # fmt: skip


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.languages", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
