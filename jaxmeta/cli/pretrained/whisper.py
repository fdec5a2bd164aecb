"""What `jaxmeta transcribe` and `jaxmeta adapt` do with a public Whisper, and with adapters of it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jaxmeta.cli.transcripts import Part

if TYPE_CHECKING:
    import numpy as np

    from jaxmeta.cli.planning.plan import Plan
    from jaxmeta.data.manifests.clips import Clip
    from jaxmeta.recognition.pretrained.adaptation import AdaptationOptions
    from jaxmeta.recognition.pretrained.adapter import AdapterCard
    from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser
    from jaxmeta.types import PyTree

_UPDATE = 4.5e-9
"""Seconds of processor time for each weight of a Whisper, in an update."""
Bits = Literal[8, 16]
"""Of the weights of a public network in memory."""


class Hints(NamedTuple):
    """What a user says of the recordings; None: nothing."""

    words: Path | None = None
    """File of words to favour."""
    words_bonus: float | None = None
    prompt: str | None = None
    """Text that came before."""

    def given_to(self, recogniser: WhisperRecogniser) -> WhisperRecogniser:
        """The recogniser that heeds them."""
        from jaxmeta.recognition.pretrained.favoured_words import BONUS, favouring, read_words
        from jaxmeta.recognition.pretrained.previous_text import after_text

        if self.words is None and self.words_bonus is not None:
            raise ValueError(f"--words-bonus {self.words_bonus:g} is that of --words, which is missing; give it, too.")
        if self.words is not None:
            bonus = BONUS if self.words_bonus is None else self.words_bonus
            recogniser = favouring(recogniser, read_words(self.words), bonus)
        return recogniser if self.prompt is None else after_text(recogniser, self.prompt)


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
        raise ImportError(
            f"{folder} needs {' and '.join(missing)}; install the extra: pip install 'jaxmeta[pretrained]'"
        )


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
    hints: Hints,
) -> Iterator[Part]:
    """The stretches of each file in turn with their texts; `files` are names and waveforms at 16 kHz."""
    from jaxmeta.recognition.pretrained.transcription import transcribe_segments, window
    from jaxmeta.recognition.segments.stretches import RATE, load_detector

    recogniser, card = _load(folder, base, bits)
    recogniser = hints.given_to(recogniser)
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
    language: str | None,
    rank: int | None,
    bits: Bits | None,
    base: Path | None,
    roots: tuple[Path, ...] = (),
    as_json: bool,
    dry_run: bool = False,
) -> None:
    """Learn adapters, or go on with those of a trained decoder, say what they are worth, and write them."""
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.cli.output import show
    from jaxmeta.data.manifest import read_manifest
    from jaxmeta.recognition.pretrained.adaptation import adapt_whisper
    from jaxmeta.recognition.pretrained.adapter import save_adapter, with_whisper_adapters
    from jaxmeta.recognition.pretrained.voice import read_whisper_voice
    from jaxmeta.recognition.pretrained.whisper import in_bits
    from jaxmeta.reporting.recognised import write_recognised

    whisper, trained, card = _to_adapt(folder, base, language, rank)
    options = _options(card, trained is not None, {"steps": steps, "rate": rate, "folds": folds, "seed": seed})
    with claimed(out, dry_run=dry_run):
        recogniser = whisper if bits is None else in_bits(whisper, bits)
        recogniser.tokenizer.whisper_prompt(card.language)
        encoding = recogniser if trained is None else with_whisper_adapters(recogniser, trained)
        voice = read_whisper_voice(encoding, manifest, resample=resample, roots=roots)
        clips = read_manifest(manifest, roots).clips()
        if dry_run:
            _plan(folder, recogniser, trained, options, manifest, clips, out).show("adapt", as_json=as_json)
            return
        print(*voice.remarks, f"{len(voice.texts)} recordings; cross-validating", sep="\n", file=sys.stderr)
        result = adapt_whisper(recogniser, voice, options, trained=trained, always=always)
        show("adapt", result.summary() | {"out": str(out)}, str(result), as_json=as_json)
        origin = dataclasses.asdict(options) | {"recordings": len(voice.texts)}
        card = dataclasses.replace(card, adapted=result.taken, origin=card.origin | {"adaptation": origin})
        save_adapter(out, card, result.adapted)
        write_recognised(out, clips, voice.texts, result.verdict, taken=result.taken)


def _plan(
    folder: Path,
    recogniser: WhisperRecogniser,
    trained: PyTree | None,
    options: AdaptationOptions,
    manifest: Path,
    clips: Sequence[Clip],
    out: Path,
) -> Plan:
    import jax

    from jaxmeta.cli.planning.plan import START, Plan, recordings
    from jaxmeta.cli.planning.plan import folder as held
    from jaxmeta.recognition.pretrained.adaptation import learning_and_resting
    from jaxmeta.recognition.pretrained.adapter import new_adapters

    adapters: PyTree = trained
    if trained is None:
        adapters = jax.eval_shape(
            lambda params: new_adapters(params, options.rank, jax.random.key(0)), recogniser.forms
        )
    adapters, _ = learning_and_resting(adapters, options.learner, recogniser.config.decoder_layers)
    learn, whole = (sum(leaf.size for leaf in jax.tree.leaves(each)) for each in (adapters, recogniser.params))
    updates = options.steps * (min(options.folds, len(clips)) + 1)
    read = [held(folder), recordings(manifest, clips)]
    return Plan(read, out, START + _UPDATE * whole * updates, "adapters of the decoder", learn, updates)


def _to_adapt(
    folder: Path, base: Path | None, language: str | None, rank: int | None
) -> tuple[WhisperRecogniser, PyTree | None, AdapterCard]:
    """A Whisper, the adapters that it was trained with where it was, and the card of what adapts from there."""
    from jaxmeta.recognition.pretrained.adaptation import AdaptationOptions
    from jaxmeta.recognition.pretrained.adapter import AdapterCard, read_adapted
    from jaxmeta.recognition.pretrained.bases import base_hash, is_public
    from jaxmeta.recognition.pretrained.whisper import load_whisper

    if is_public(folder):
        refuse({"--base": base}, folder, "which is a Whisper itself")
        place, size = str(folder.absolute()), AdaptationOptions.rank if rank is None else rank
        return load_whisper(folder), None, AdapterCard(place, base_hash(folder), size, language or "en", False)
    read = read_adapted(folder, base)
    if read.card.matrices == "attention":
        raise ValueError(
            f"{folder} holds adapters of a voice already; adapt the Whisper that they belong to, with all recordings."
        )
    refuse({"--rank": rank}, folder, f"whose adapters go on learning, with rank {read.card.rank}")
    if language not in (None, read.card.language):
        raise ValueError(f"--language {language} cannot be used with {folder}, which writes {read.card.language!r}.")
    return read.recogniser, read.adapters, dataclasses.replace(read.card, base=str(read.place.absolute()))


def _options(card: AdapterCard, trained: bool, given: Mapping[str, Any]) -> AdaptationOptions:
    """How adapters learn; small steps where they were trained before, and those of a start that was meta-learned."""
    from jaxmeta.recognition.pretrained.adaptation import TRAINED_RATE, AdaptationOptions

    chosen = {name: each for name, each in given.items() if each is not None}
    usual: dict[str, Any] = {"rate": TRAINED_RATE} if trained else {}
    if (start := card.start) is not None:
        if "rate" in chosen and start.rates != "none":
            raise ValueError(f"--rate {chosen['rate']} cannot be used with meta-learned rates; leave it out.")
        usual = {"rate": start.rate, "steps": start.steps, "learner": start.learner}
    return AdaptationOptions(language=card.language, rank=card.rank, **(usual | chosen))


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
