"""Who is speaking and what is said: two networks, or one that does both with half of their weights?

    python -m experiments.verify_and_recognise --preset quick                  # minutes on two cores, no data
    JAXMETA_DATA=DIR python -m experiments.verify_and_recognise --preset full  # two hours on two cores

A network for words (prototypical), one for speakers (margin softmax over all training speakers) and a fused one, whose
two heads share a trunk, are trained on the same batches. Other speakers then enrol with 1, 3 or 5 clips and are
verified, in silence, in noise and across languages; other words by them are recognised. The fused network becomes an
assistant: its gate lets words be recognised and adapted to only for the voice that is enrolled, and it looks for
enrolled words among others, and in background where there are none.

The quick preset synthesises speech; the full one reads recordings under JAXMETA_DATA. `--recogniser` adds a CTC
recogniser whose frozen trunk tells speakers apart. Writes results.json, results.md, plots, the assistant for
`jaxmeta enroll`, and recordings of a voice and of others to try it on. Expected, with five clips enrolled: the fused
network has an equal error of 9.4 % (quick; the two networks 8.4 %), and of 2.2 % on recorded sentences (full; 2.2 %).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jaxmeta.verification.presets import ASSISTANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.verify_and_recognise.data import Speech
    from jaxmeta.verification.assistant import Assistant
    from jaxmeta.verification.training import TrainedNetwork
    from jaxmeta.verification.voices import Voices

CLIPS = (1, 3, 5)
"""Recordings that enrol a voice."""
WIDTH = {"quick": 64, "full": 128}
"""Of the trunk of a network for one task, so that the fused network is half as large as one for each."""
USERS, SPOTTING_USERS = 600, 50
"""Users of each corpus, and those whose false alarms are counted."""
ALARMS = (1.0, 5.0, 20.0, 100.0)
"""An hour, at which misses are told."""
HEAD_UPDATES, HEAD_CLIPS, SENTENCE = 5_000, 64, 200
"""Of a head for speakers on a recogniser: updates, stretches of a batch, and frames of a stretch."""


@dataclass(frozen=True)
class Config:
    """Verification and recognition, apart and fused."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech, and how long to train."""
    updates: int | None = None
    """Updates of every training, instead of the preset's."""
    recogniser: Path | None = None
    """Folder of a recogniser of sentences, as `adapt_asr --preset full` writes it; its trunk is shared, too."""
    prior: float = 0.5
    """Probability that it is the user who speaks, before anything is heard; of the gate."""
    sure: float = 0.9
    """Probability afterwards from which the user is accepted; below 1 - sure the speaker is rejected."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/verify_and_recognise")
    """Checkpoints, logs and results; the same command resumes there."""


def main(config: Config) -> dict:
    """Train, enrol, verify and recognise, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, or a working directory that holds another run.
    """
    from experiments.verify_and_recognise.data import recorded, synthesised
    from jaxmeta.training.report import stamp, write_titled_tables
    from jaxmeta.verification.assistant import save_assistant
    from jaxmeta.verification.building import make_assistant, voices_of
    from jaxmeta.verification.gate import make_gate
    from jaxmeta.verification.training import AssistantTraining
    from jaxmeta.verification.voices import floor
    from jaxmeta.words.examples import write_examples

    make_gate(config.prior, config.sure)
    preset, width = ASSISTANTS[config.preset].with_updates(config.updates), WIDTH[config.preset]
    seed, workdir = config.seed, config.workdir
    data = (recorded if config.preset == "full" else synthesised)(preset.invented, seed)
    training = AssistantTraining(
        data.words, data.speakers, workdir, noise=data.noise, fingerprints=data.fingerprints, ways=preset.ways,
        shots=preset.shots, clips=preset.clips, updates=preset.updates, rate=preset.rate, seed=seed,
    )  # fmt: skip
    words, speakers = training.train_words(width), training.train_speakers(width)
    fused = training.train_fused(preset.width)
    first = next(iter(data.new_words))
    write_examples(data.new_words[first], data.folders[first], workdir)
    run = stamp(seed, sys.argv, data.fingerprints)
    networks = [voices_of(system, data.speakers, seed) for system in (speakers, fused)]
    assistant = make_assistant(
        fused, networks[1], words=data.words, val=data.val, val_words=data.val_words, noise=data.noise,
        width=preset.width, seed=seed, origin=run,
    )  # fmt: skip
    save_assistant(workdir / "assistant", assistant)
    networks = [each if assistant.card.top else each._replace(cohort=None) for each in networks]
    tables = _who(config, data, [*networks, floor()], preset.rate)
    tables["New words by new speakers, 5-way"] = _new_words([words, fused], data, seed)
    tables |= _use(config, data, assistant, fused, networks[1])
    return write_titled_tables(workdir, tables, run)


def _who(config: Config, data: Speech, networks: Sequence[Voices], rate: float) -> dict[str, list[dict]]:
    """Who speaks, by every network; errors are plotted, too."""
    from jaxmeta.evaluation.plots import plot_verification
    from jaxmeta.verification.protocols.speakers import verify_across_languages, verify_in_conditions
    from jaxmeta.verification.trials import PRIOR

    rows, drawn = verify_in_conditions(
        networks, data.test, CLIPS, config.seed, folders=data.folders, conditions=data.conditions
    )
    if config.recogniser is not None:
        more, curves = _frozen_trunk(config, config.recogniser, data, rate)
        rows, drawn = rows + more, {title: each | curves.get(title, {}) for title, each in drawn.items()}
    plot_verification(config.workdir, drawn, max(CLIPS))
    title = f"Speakers that no network was trained on; minDCF at a prior of {PRIOR:g} and equal costs"
    crossed = verify_across_languages(networks[:-1], data.test, max(CLIPS), config.seed)
    return {title: rows} | ({"Enrolled in one language, verified in another": crossed} if crossed else {})


def _frozen_trunk(config: Config, folder: Path, data: Speech, rate: float) -> tuple[list[dict], dict]:
    """Rows and trials of a head on a recogniser's trunk; the recogniser writes what it wrote before."""
    from experiments.verify_and_recognise.data import SENTENCES
    from jaxmeta.data.corpus import load_corpus
    from jaxmeta.models.acoustic import Size
    from jaxmeta.models.speaker import text_and_speaker
    from jaxmeta.recognition.recogniser import load_recogniser
    from jaxmeta.verification.protocols.speakers import verify_in_conditions
    from jaxmeta.verification.training import EMBEDDING, train_speaker_head

    recogniser = load_recogniser(folder)
    card, classes = recogniser.card, recogniser.vocabulary.size
    size = Size(card.options["width"], card.options["depth"])
    corpus = load_corpus(data.folders[SENTENCES], card.features).with_column("pool", SENTENCES)
    head = train_speaker_head(
        lambda outputs: text_and_speaker(classes, card.builder, size, outputs=outputs, embedding=EMBEDDING),
        recogniser.params, corpus.select(split="train"), config.workdir / "sentences", name="head on the recogniser",
        stretch=SENTENCE, clips=HEAD_CLIPS, updates=config.updates or HEAD_UPDATES, rate=rate, seed=config.seed,
        config={"origin": card.origin},
    )  # fmt: skip
    tested, conditions = {SENTENCES: corpus.select(split="test")}, data.conditions
    return verify_in_conditions([head], tested, CLIPS, config.seed, folders=data.folders, conditions=conditions)


def _new_words(systems: Sequence[TrainedNetwork], data: Speech, seed: int) -> list[dict]:
    """Accuracy on new words by new speakers, and the change against the first network."""
    from jaxmeta.evaluation.embeddings import compare, embed

    weights, rows = {system.name: {"weights": system.weights} for system in systems}, []
    for name, corpus in data.new_words.items():
        clips = {
            each.name: embed(each.word_model, each.params, corpus) for each in systems if each.word_model is not None
        }
        rows += [{"corpus": name} | row | weights[row["network"]] for row in compare(corpus, clips, (1, 5), seed + 1)]
    return rows


def _use(
    config: Config, data: Speech, assistant: Assistant, fused: TrainedNetwork, voices: Voices
) -> dict[str, list[dict]]:
    """What the assistant is in use, by users of each corpus of words; misses and false alarms are plotted, too."""
    from jaxmeta.evaluation.plots import plot_spotting
    from jaxmeta.verification.building import embedded
    from jaxmeta.verification.gate import Gate
    from jaxmeta.verification.protocols import gate as gates
    from jaxmeta.verification.protocols import keywords

    background, gate = keywords.embed_background(assistant, data.background), Gate(config.prior, config.sure)
    use, streams, sets, spotting, curves = [], [], [], [], {}
    for name, corpus in data.new_words.items():
        recordings, where = embedded(fused, voices, corpus), {"corpus": name}
        use += [where | row for row in gates.gated_use(assistant, recordings, gate, USERS, config.seed)]
        streams += [where | row for row in gates.gated_adaptation(assistant, recordings, gate, USERS, config.seed)]
        for shots in keywords.shots_to_enrol(recordings):
            asked = (assistant, recordings, background, shots)
            sets.append(where | {"shots": shots} | keywords.open_set_accuracy(*asked, USERS, config.seed))
        errors = keywords.false_alarms(*asked, SPOTTING_USERS, config.seed)
        curves[f"{name}, {shots} recordings of a word"] = (errors.alarms, errors.missed)
        for limit in ALARMS:
            missed, threshold = errors.at(limit)
            spotting.append(where | {"false alarms an hour": limit, "missed %": 100 * missed, "threshold": threshold})
    plot_spotting(config.workdir / "keywords.png", curves, background.hours)
    users = f"{USERS} users, five words"
    return {
        f"Commands by a user and by strangers, {users}, one recording of each": use,
        f"Adaptation to unlabelled recordings, {users}, one recording of each": streams,
        f"An open set, {users}": sets,
        f"Spotting in {background.hours:.2f} hours of background": spotting,
    }


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.verify_and_recognise", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
