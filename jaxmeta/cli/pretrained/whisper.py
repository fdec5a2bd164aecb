"""What `jaxmeta transcribe` and `jaxmeta adapt` do with a public Whisper, and with adapters of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxmeta.cli.transcripts import Part

if TYPE_CHECKING:
    import numpy as np

    from jaxmeta.cli.planning.plan import Plan
    from jaxmeta.data.manifests.clips import Clip
    from jaxmeta.recognition.pretrained.adaptation import AdaptationOptions
    from jaxmeta.recognition.pretrained.adapter import AdapterCard
    from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser

_UPDATE = 4.5e-9
"""Seconds of processor time for each weight of a Whisper, in an update."""
Bits = Literal[8, 16]
"""Of the weights of a public network in memory."""


def is_pretrained(folder: Path) -> bool:
    """Whether a folder holds a network in Hugging Face's form, or adapters of a Whisper.

    Raises:
      ImportError: it does, and what reads it is not installed.
    """
    from jaxmeta.recognition.pretrained.adapter import WHISPER_ADAPTER
    from jaxmeta.recognition.pretrained.bases import is_public

    if not is_public(folder) and _kind(folder / WHISPER_ADAPTER.card) != WHISPER_ADAPTER.name:
        return False
    check_installed(folder)
    return True


def check_installed(folder: Path) -> None:
    """Raises ImportError where what reads public networks is not installed."""
    if missing := [name for name in ("safetensors", "tokenizers") if find_spec(name) is None]:
        raise ImportError(f"{folder} needs {' and '.join(missing)}; install the extra: pip install jaxmeta[pretrained]")


def refuse(options: Mapping[str, object], folder: Path, reason: str) -> None:
    """Raises ValueError for options that were given, which means that they are neither None nor False."""
    if given := [name for name, value in options.items() if value is not None and value is not False]:
        raise ValueError(f"{' and '.join(given)} cannot be used with {folder}, {reason}.")


def parts_of_files(
    folder: Path,
    files: Iterator[tuple[Path, np.ndarray]],
    base: Path | None,
    language: str | None,
    voice_activity: Path | None,
    longest: float | None,
    bits: Bits | None,
) -> Iterator[Part]:
    """The stretches of each file in turn with their texts; `files` are names and waveforms at 16 kHz."""
    from jaxmeta.recognition.pretrained.transcription import transcribe_segments, window
    from jaxmeta.recognition.segments.stretches import RATE, load_detector

    recogniser, card = _load(folder, base, bits)
    spoken = language or (card.language if card else "en")
    recogniser.tokenizer.whisper_prompt(spoken)  # Refuses an unknown language before the first file is read.
    detect = None if voice_activity is None else load_detector(voice_activity)
    seconds = window(recogniser) if longest is None else min(longest, window(recogniser))
    for file, waveform in files:
        for segment in transcribe_segments(recogniser, waveform, spoken, detect, seconds):
            yield Part(file, len(waveform) / RATE, segment)
        yield Part(file, len(waveform) / RATE, None)


def adapt_to_folder(
    folder: Path,
    manifest: Path,
    out: Path,
    *,
    folds: int,
    always: bool,
    steps: int | None,
    rate: float | None,
    resample: bool,
    seed: int,
    language: str,
    rank: int | None,
    bits: Bits | None,
    roots: tuple[Path, ...] = (),
    as_json: bool,
    dry_run: bool = False,
) -> None:
    """Learn adapters, say what they are worth, and write them."""
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.cli.output import show
    from jaxmeta.data.manifest import read_manifest
    from jaxmeta.recognition.pretrained.adaptation import AdaptationOptions, adapt_whisper
    from jaxmeta.recognition.pretrained.adapter import save_adapter
    from jaxmeta.recognition.pretrained.bases import is_public
    from jaxmeta.recognition.pretrained.voice import read_whisper_voice
    from jaxmeta.recognition.pretrained.whisper import in_bits, load_whisper
    from jaxmeta.reporting.recognised import write_recognised

    if not is_public(folder):
        raise ValueError(
            f"{folder} holds adapters already; adapt the Whisper that they belong to, with all recordings."
        )
    given = {"steps": steps, "rate": rate, "rank": rank}
    chosen: dict[str, Any] = {name: each for name, each in given.items() if each is not None}
    options = AdaptationOptions(language=language, folds=folds, seed=seed, **chosen)
    with claimed(out, dry_run=dry_run):
        recogniser = load_whisper(folder)
        recogniser = recogniser if bits is None else in_bits(recogniser, bits)
        recogniser.tokenizer.whisper_prompt(language)
        voice = read_whisper_voice(recogniser, manifest, resample=resample, roots=roots)
        clips = read_manifest(manifest, roots).clips()
        if dry_run:
            _plan(folder, recogniser, options, manifest, clips, out).show("adapt", as_json=as_json)
            return
        print(*voice.remarks, f"{len(voice.texts)} recordings; cross-validating", sep="\n", file=sys.stderr)
        result = adapt_whisper(recogniser, voice, options, always=always)
        show("adapt", result.summary() | {"out": str(out)}, str(result), as_json=as_json)
        save_adapter(out, _card(folder, options, result.taken, len(voice.texts)), result.adapted)
        write_recognised(out, clips, voice.texts, result.verdict, taken=result.taken)


def _plan(
    folder: Path,
    recogniser: WhisperRecogniser,
    options: AdaptationOptions,
    manifest: Path,
    clips: Sequence[Clip],
    out: Path,
) -> Plan:
    import jax

    from jaxmeta.cli.planning.plan import START, Plan, recordings
    from jaxmeta.cli.planning.plan import folder as held
    from jaxmeta.models.pretrained.adapted import new_adapters

    adapters = jax.eval_shape(lambda: new_adapters(recogniser.forms, options.rank, jax.random.key(0)))
    learn, whole = (sum(leaf.size for leaf in jax.tree.leaves(each)) for each in (adapters, recogniser.params))
    updates = options.steps * (min(options.folds, len(clips)) + 1)
    read = [held(folder), recordings(manifest, clips)]
    return Plan(read, out, START + _UPDATE * whole * updates, "adapters of the decoder", learn, updates)


def _card(folder: Path, options: AdaptationOptions, adapted: bool, recordings: int) -> AdapterCard:
    import dataclasses

    from jaxmeta.recognition.pretrained.adapter import AdapterCard
    from jaxmeta.recognition.pretrained.bases import base_hash

    origin = dataclasses.asdict(options) | {"recordings": recordings}
    place = str(folder.absolute())
    return AdapterCard(place, base_hash(folder), options.rank, options.language, adapted, origin)


def _load(folder: Path, base: Path | None, bits: Bits | None) -> tuple[WhisperRecogniser, AdapterCard | None]:
    from jaxmeta.recognition.pretrained.adapter import load_adapted
    from jaxmeta.recognition.pretrained.bases import is_public
    from jaxmeta.recognition.pretrained.whisper import in_bits, load_whisper

    if is_public(folder):
        refuse({"--base": base}, folder, "which is a Whisper itself and no adapter of it")
        recogniser = load_whisper(folder)
        return recogniser if bits is None else in_bits(recogniser, bits), None
    return load_adapted(folder, base, bits)


def _kind(card: Path) -> object:
    """What a card says that it belongs to; nothing where it cannot be read, as whoever needs it will say."""
    try:
        content = json.loads(card.read_bytes())
    except (OSError, ValueError):
        return None
    return content.get("kind") if isinstance(content, dict) else None
