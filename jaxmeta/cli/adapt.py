"""`jaxmeta adapt CHECKPOINT MANIFEST --out DIR`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional

from jaxmeta.cli.ranges import Roots, Seed, Within

if TYPE_CHECKING:
    from jaxmeta.recognition.recogniser import Recogniser


def adapt(
    checkpoint: Positional[Path],
    manifest: Positional[Path],
    out: Path,
    folds: Annotated[int, Within(2, 1_000)] = 5,
    always: bool = False,
    steps: Annotated[int, Within(0, 100_000)] | None = None,
    rate: Annotated[float, Within(0, 100)] | None = None,
    json: bool = False,
    resample: bool = False,
    seed: Seed = 0,
    language: str | None = None,
    rank: Annotated[int, Within(1, 1_000)] | None = None,
    bits: Literal[8, 16] | None = None,
    base: Path | None = None,
    root: Roots = (),
    dry_run: bool = False,
) -> None:
    """Adapt a recogniser to the voice in a folder of recordings with transcripts.

    The gain is cross-validated: each recording is recognised by what was adapted to the others. Unless its 95 %
    interval lies above zero the recogniser stays as it was. Recordings never leave the machine, and none is copied.

    Args:
        checkpoint: Folder of a recogniser, as training or an earlier adaptation writes it, or of a public Whisper
            (config.json, model.safetensors, tokenizer.json), which learns low-rank adapters of its decoder. Those of a
            Whisper whose decoder was trained go on learning.
        manifest: Folder with a metadata.csv whose columns file_name and transcription name the recordings and say
            what is said in each; two recordings at least, about twenty for a certain answer.
        out: Folder for the adapted recogniser, or for the adapters of a Whisper; must not exist yet.
        folds: Parts of the cross-validation, at most one for each recording.
        always: Take the adapted recogniser even if its gain is uncertain.
        steps: Steps of adaptation, instead of the recogniser's own number.
        rate: Of each step, instead of the recogniser's own.
        json: Write the result as a line of JSON.
        resample: Take recordings at other sample rates than the recogniser's too.
        seed: Of the folds and of the interval.
        language: Of the recordings, such as "de", for a Whisper of many languages; without it English, or what its
            decoder was trained on.
        rank: Of the adapters of a public Whisper.
        bits: Of the weights of a Whisper in memory: 16, or 8 for integers; adapters have 32.
        base: Folder of the public network that a recogniser was trained on, if it is not where it was.
        root: Folder that the recordings lie in, if it is not that of the metadata.csv; may be given several times.
        dry_run: Say what would be read, learnt and written, and about how long it takes; write nothing.
    """
    from jaxmeta.cli.pretrained.whisper import adapt_to_folder, is_pretrained, refuse

    if is_pretrained(checkpoint):
        adapt_to_folder(
            checkpoint, manifest, out, folds=folds, always=always, steps=steps, rate=rate, resample=resample,
            seed=seed, language=language, rank=rank, bits=bits, base=base, roots=root, as_json=json,
            dry_run=dry_run,
        )  # fmt: skip
    else:
        refuse({"--language": language, "--rank": rank, "--bits": bits}, checkpoint, "which is no Whisper")
        recogniser = _recogniser(checkpoint, base, steps, rate)
        _adapt_recogniser(
            recogniser, manifest, out, folds=folds, always=always, as_json=json, resample=resample, seed=seed,
            roots=root, dry_run=dry_run, checkpoint=checkpoint,
        )  # fmt: skip
    if not json and not dry_run:
        print(f"written to {out}")


def _recogniser(checkpoint: Path, base: Path | None, steps: int | None, rate: float | None) -> Recogniser:
    """The recogniser of a folder, with the steps and the rate that were given."""
    from dataclasses import replace

    from jaxmeta.recognition.pretrained.on_base import load_any_recogniser

    recogniser = load_any_recogniser(checkpoint, base)
    if rate is not None and recogniser.card.adaptation == "learned":
        raise ValueError(f"--rate {rate} cannot be used with {checkpoint}, which has meta-learned rates.")
    card = replace(
        recogniser.card,
        steps=recogniser.card.steps if steps is None else steps,
        rate=recogniser.card.rate if rate is None else rate,
    )
    return recogniser._replace(card=card)


def _adapt_recogniser(
    recogniser: Recogniser,
    manifest: Path,
    out: Path,
    *,
    folds: int,
    always: bool,
    as_json: bool,
    resample: bool,
    seed: int,
    roots: tuple[Path, ...],
    dry_run: bool,
    checkpoint: Path,
) -> None:
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.cli.output import show
    from jaxmeta.cli.planning.plan import adaptation
    from jaxmeta.data.manifest import read_manifest
    from jaxmeta.recognition.pretrained.on_base import adapt_any_to_voice
    from jaxmeta.recognition.recogniser import save_recogniser
    from jaxmeta.recognition.voice import read_voice
    from jaxmeta.reporting.recognised import write_recognised

    with claimed(out, dry_run=dry_run):
        voice = read_voice(recogniser, manifest, resample=resample, roots=roots)
        clips = read_manifest(manifest, roots).clips()
        if dry_run:
            plan = adaptation(checkpoint, recogniser.params, recogniser.card.steps, folds, manifest, clips, out)
            plan.show("adapt", as_json=as_json)
            return
        print(*voice.remarks, f"{len(voice.texts)} recordings; cross-validating", sep="\n", file=sys.stderr)
        result = adapt_any_to_voice(recogniser, voice, folds=folds, seed=seed, always=always)
        # Before it is saved: what minutes of work have found stands there even where the disk is full.
        show("adapt", result.summary() | {"out": str(out)}, str(result), as_json=as_json)
        save_recogniser(out, result.adapted)
        write_recognised(out, clips, voice.texts, result.verdict, taken=result.taken)
