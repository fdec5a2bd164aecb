"""`jaxmeta train recogniser MANIFEST... --out DIR`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from jaxmeta.cli.ranges import Count, Process, Seed, Updates
from jaxmeta.cli.training.together import prepared_together
from jaxmeta.recognition.presets import PRESETS, RecogniserPreset, replaced

if TYPE_CHECKING:
    from jaxmeta.recognition.corpora import TranscribedSpeech
    from jaxmeta.recognition.recogniser import Recogniser


def train_recogniser(
    manifests: Positional[tuple[Path, ...]] = (),
    *,
    out: Path,
    preset: Literal["quick", "full"] = "quick",
    updates: Updates | None = None,
    encoder: Literal["dnn", "gru", "lstm", "conformer"] | None = None,
    size: Literal["tiny", "small", "base", "large"] | None = None,
    seed: Seed = 0,
    synthesised: bool = False,
    drop_infeasible: bool = False,
    coordinator: str | None = None,
    processes: Count | None = None,
    process: Process | None = None,
    cluster: bool = False,
) -> None:
    """Train a recogniser of speech on folders of recordings with transcripts.

    Some speakers are held out, and the error on them is written at the end: those whose rows the column split calls
    val or test, or else a tenth of all. The folder that is written is what `jaxmeta adapt`, `jaxmeta transcribe` and
    `jaxmeta export` take. An interrupted command resumes where it was when it is given again.

    Args:
        manifests: Folders with a metadata.csv whose columns file_name and transcription name the recordings and say
            what is said in each; speaker and split are columns, too, where they are known.
        out: Folder for the recogniser and the results; must not exist yet, but for an interrupted training.
        preset: How large a network, and how long to train.
        updates: Updates of training, instead of the preset's.
        encoder: Kind of network, instead of the preset's.
        size: Of the network, instead of the preset's; from 0.2 to 5 million weights.
        seed: Of everything random.
        synthesised: Train on synthesised English sentences instead of recordings; needs the extra "synth". The folder
            then holds `voice`, too: recordings of a speaker who was held out.
        drop_infeasible: Leave out recordings that are too short for their transcripts, instead of stopping.
        coordinator: HOST:PORT of the first of several processes that train together, each started by this command with
            a number of its own. The first one writes; all need the same folders.
        processes: How many there are.
        process: The number of this one, from 0.
        cluster: Take these from Slurm, Kubernetes or MPI.
    """
    from jaxmeta.data.synthesis.sentences import accented_sentences
    from jaxmeta.progress import stage, stages
    from jaxmeta.recognition.corpora import FEATURES, copy_voice, read_corpora
    from jaxmeta.recognition.training import train_recogniser
    from jaxmeta.training.processes import joined
    from jaxmeta.training.runtime import begin

    training = replaced(PRESETS[preset], updates=updates, encoder=encoder, size=size)
    begin()
    with joined(coordinator, processes, process, cluster=cluster) as leave, stages(4) as seconds:
        _check(manifests, out, synthesised)
        with stage("preparing the speech"), prepared_together(manifests, FEATURES):
            folders = [accented_sentences(seed)] if synthesised else manifests
            speech = read_corpora(folders, seed=seed, drop=drop_infeasible or synthesised)
        _describe(speech, training)
        with stage("training"):
            recogniser = train_recogniser(
                speech.train, speech.held_out, speech.vocabulary, training, out / "training", seed=seed,
                config={"data": sorted(speech.fingerprints.values())},
            )  # fmt: skip
        if not leave():
            return
        if synthesised:
            copy_voice(speech.held_out.select(split="test"), folders[0], out / "voice")
        _test_and_write(recogniser, speech, out, seed, seconds)
        if synthesised:
            print(f"recordings of a voice to try it on: {out / 'voice'}")


def _check(manifests: tuple[Path, ...], out: Path, synthesised: bool) -> None:
    if synthesised == bool(manifests):
        raise ValueError("name one or more folders of recordings, or give --synthesised instead; not both, not none.")
    if (out / "results.json").exists():
        raise ValueError(f"--out {out} exists and holds a trained recogniser; name a new folder, or delete it.")
    if out.exists() and not (out / "training").is_dir():
        raise ValueError(f"--out {out} exists and holds no interrupted training; name a new folder, or delete it.")


def _describe(speech: TranscribedSpeech, training: RecogniserPreset) -> None:
    """Say on standard error what is trained on and what is held out."""
    left_out = int((speech.train.length > training.max_frames).sum())
    print(
        f"training on {speech.train.describe()}; {speech.vocabulary.size - 1} characters; held out: "
        f"{speech.held_out.describe()}, by {speech.how}"
        + (f"; {left_out:,} recordings longer than {training.max_frames / 100:g} s are left out" if left_out else ""),
        file=sys.stderr,
    )


def _test_and_write(
    recogniser: Recogniser, speech: TranscribedSpeech, out: Path, seed: int, seconds: dict[str, float]
) -> None:
    """Test on the held-out speakers, and write the recogniser, then the results, whose file says that all is there."""
    from dataclasses import replace

    from jaxmeta.progress import stage
    from jaxmeta.recognition.recogniser import save_recogniser
    from jaxmeta.recognition.validation import error_table, held_out_errors
    from jaxmeta.training.report import stamp, write_results

    with stage("testing on the speakers held out"):
        rows = held_out_errors(recogniser, speech.held_out, seed)
    with stage("writing the recogniser"):
        run = stamp(seed, sys.argv, speech.fingerprints)
        save_recogniser(out, recogniser._replace(card=replace(recogniser.card, origin=run)))
        table = error_table(rows)
        (out / "results.md").write_text(f"{table}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
        write_results(out, rows, run | {"seconds": dict(seconds)})
    print(f"{table}written to {out}")
