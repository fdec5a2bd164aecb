"""Our own recognisers and public Whispers behind one interface, as the demo needs them."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from jaxmeta.data.recordings import sounding_seconds
from jaxmeta.decoding.greedy import best_path
from jaxmeta.recognition.pretrained.adapter import read_adapted, with_whisper_adapters
from jaxmeta.recognition.pretrained.bases import is_public
from jaxmeta.recognition.pretrained.on_base import load_any_recogniser
from jaxmeta.recognition.pretrained.transcription import comparable, transcribe_segments, window
from jaxmeta.recognition.pretrained.whisper import load_whisper
from jaxmeta.recognition.recogniser import RECOGNISER, Recogniser
from jaxmeta.recognition.segments.ctc import cut
from jaxmeta.recognition.transcription import log_probabilities
from jaxmeta.recognition.voice import LEAST_SOUND

_LONGEST = 30.0
"""Seconds of a recording to adapt to, where the network does not say less."""
HOW_TO_GET_ONE = (
    "`jaxmeta train recogniser --synthesised --out runs/recogniser` makes one in about two minutes, and any folder of "
    "a public Whisper is one (config.json, model.safetensors, tokenizer.json)"
)


class DemoRecogniser(Protocol):
    """What the demo does with a recogniser."""

    folder: Path
    rate: int
    """Of waveforms, in Hz."""
    longest: float
    """Seconds of a recording that it can adapt to."""
    fixed: str
    """Why it cannot be adapted; "" where it can."""

    def transcribe(self, waveform: np.ndarray) -> str:
        """The text of a recording [S] of any length."""

    def check_text(self, waveform: np.ndarray, text: str) -> None:
        """Raises ValueError where `jaxmeta adapt` would refuse a recording with this text."""

    def adapted(self, folder: Path) -> "DemoRecogniser":
        """What `jaxmeta adapt` has written."""

    def options(self) -> list[str]:
        """Of `jaxmeta adapt` for this recogniser."""


class OwnRecogniser:
    """A recogniser of ours, on a public encoder or not."""

    fixed = ""

    def __init__(self, folder: Path, base: Path | None) -> None:
        self.folder, self._base = folder, base
        self._recogniser: Recogniser = load_any_recogniser(folder, base)
        card = self._recogniser.card
        self.rate = card.features.sample_rate
        self.longest = min(_LONGEST, (card.longest or np.inf) / card.features.frame_rate)

    @cached_property
    def _run(self) -> Callable:
        return log_probabilities(self._recogniser)

    def transcribe(self, waveform: np.ndarray) -> str:
        """As `DemoRecogniser.transcribe`."""
        features = cut(self._recogniser, waveform).features
        texts = [self._recogniser.vocabulary.decode(best_path(each)) for each in self._run(features)]
        return " ".join(filter(None, texts))

    def check_text(self, waveform: np.ndarray, text: str) -> None:
        """As `DemoRecogniser.check_text`."""
        try:
            labels = self._recogniser.vocabulary.encode(self._recogniser.fold(text))
        except ValueError as error:
            units = self._recogniser.vocabulary.units
            known = "".join(units) if self._recogniser.vocabulary.level == "character" else f"{len(units)} words"
            raise ValueError(f"This recogniser writes only: {known}. Write the text with these.") from error
        if not labels.size:
            raise ValueError("The text is empty; write what is said.")
        frames = int(self._recogniser.card.output_lengths(len(cut(self._recogniser, waveform).features[0])))
        if frames < len(labels) + int((labels[1:] == labels[:-1]).sum()):
            raise ValueError(f"The text is too long for {len(waveform) / self.rate:.1f} s of sound.")

    def adapted(self, folder: Path) -> "OwnRecogniser":
        """As `DemoRecogniser.adapted`."""
        return OwnRecogniser(folder, self._base)

    def options(self) -> list[str]:
        """As `DemoRecogniser.options`."""
        return [] if self._base is None else ["--base", str(self._base.absolute())]


class WhisperDemo:
    """A public Whisper, or adapters of one."""

    rate = 16_000

    def __init__(self, folder: Path, base: Path | None, language: str | None) -> None:
        self.folder, self._language, self.fixed = folder, language or "en", ""
        self._place = folder
        if is_public(folder):
            self._base = self._recogniser = load_whisper(folder)
        else:
            read = read_adapted(folder, base)
            self._place, self._base = read.place, read.recogniser
            self._recogniser = with_whisper_adapters(read.recogniser, read.adapters)
            self._language = language or read.card.language
            if read.card.matrices == "attention":
                self.fixed = f"This was adapted to a voice already; start the demo with the Whisper of {read.place}."
        self._recogniser.tokenizer.whisper_prompt(self._language)  # Refuses an unknown language.
        self.longest = min(_LONGEST, window(self._recogniser))

    def transcribe(self, waveform: np.ndarray) -> str:
        """As `DemoRecogniser.transcribe`."""
        segments = transcribe_segments(self._recogniser, waveform, self._language)
        return " ".join(segment.text for segment in segments if segment.text)

    def check_text(self, waveform: np.ndarray, text: str) -> None:
        """As `DemoRecogniser.check_text`."""
        if not comparable(text):
            raise ValueError("The text has no letters; write what is said.")
        if (tokens := len(self._recogniser.tokenizer.encode(f" {text}"))) > self._recogniser.longest:
            raise ValueError(
                f"The text has {tokens} tokens, and at most {self._recogniser.longest} are taken; shorten it."
            )

    def adapted(self, folder: Path) -> "WhisperDemo":
        """As `DemoRecogniser.adapted`."""
        read, other = read_adapted(folder, self._place), copy(self)
        # Weights that did not learn are shared.
        base = replace(self._base, habits=read.card.habits)
        other.folder, other._recogniser = folder, with_whisper_adapters(base, read.adapters)
        return other

    def options(self) -> list[str]:
        """As `DemoRecogniser.options`."""
        base = [] if self._place == self.folder else ["--base", str(self._place.absolute())]
        return ["--language", self._language, *base]


def load(folder: Path, base: Path | None = None, language: str | None = None) -> DemoRecogniser:
    """A recogniser of any kind that `jaxmeta transcribe` takes.

    Args:
      folder: of it.
      base: of the public network that it was trained on, if that has moved.
      language: of the recordings, for a Whisper.
    Raises:
      ValueError, OSError: it is not there or damaged, or an option does not apply.
      ImportError: an extra is missing.
    """
    from jaxmeta.cli.pretrained.whisper import is_pretrained, refuse

    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder. {HOW_TO_GET_ONE}.")
    if is_pretrained(folder):
        if is_public(folder):
            refuse({"--base": base}, folder, "which is a Whisper itself and no adapter of it")
        return WhisperDemo(folder, base, language)
    refuse({"--language": language}, folder, "which is neither a Whisper nor an adapter of it")
    if not (folder / RECOGNISER.card).is_file():
        raise ValueError(f"{folder} holds no recogniser. {HOW_TO_GET_ONE}.")
    return OwnRecogniser(folder, base)


def check_recording(recogniser: DemoRecogniser, waveform: np.ndarray, text: str) -> None:
    """Raises ValueError where `jaxmeta adapt` would refuse this recording or its text; says what to do."""
    check_sound(waveform, recogniser.rate, LEAST_SOUND)
    if (seconds := len(waveform) / recogniser.rate) > recogniser.longest:
        raise ValueError(
            f"The recording lasts {seconds:.0f} s, and up to {recogniser.longest:.0f} s can be learnt from; "
            "record a sentence at a time."
        )
    recogniser.check_text(waveform, text)


def check_sound(waveform: np.ndarray, rate: int, least: float) -> None:
    """Raises ValueError where less than so many seconds of a recording are not silent."""
    if (sounding := sounding_seconds(waveform, rate)) < least:
        raise ValueError(
            f"The recording is silent but for {sounding:.2f} s; is the right microphone chosen, and its switch on?"
        )
