"""A folder of recordings from its list to a report: every recording is decoded once, and then let go."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from jaxmeta.checking.summary import Summary, summarise
from jaxmeta.data.audio import AudioError
from jaxmeta.data.checking import copies, sound, spellings, transcripts
from jaxmeta.data.checking.kinds import KINDS, SEVERITIES, UNDECODABLE, Case, Severity
from jaxmeta.data.checking.listing import Listing, read_listing
from jaxmeta.data.checking.measurements import Sound, measure
from jaxmeta.data.checking.reading import mono, read_clips
from jaxmeta.progress import progress_bar


class Observer(Protocol):
    """Looks at recordings by a trained network, one after the other, and holds few of them at a time."""

    sample_rate: int
    """Hz of the waveforms that it takes."""

    def wants(self, row: int) -> bool:
        """Whether the recording of this row is to be looked at."""

    def take(self, row: int, waveform: np.ndarray) -> None:
        """Look at a waveform [S]."""

    def cases(self) -> list[Case]:
        """What is wrong, once all have been taken."""


class Report(NamedTuple):
    """The findings of a folder, and what it holds."""

    listing: Listing
    cases: list[Case]
    """The gravest kinds first, and of each kind the worst first."""
    summary: Summary

    @property
    def grave(self) -> bool:
        """Whether there is an error among the findings."""
        return any(KINDS[case.kind].severity == "error" for case in self.cases)

    def rows(self, severities: Sequence[Severity] = SEVERITIES) -> set[int]:
        """The rows with findings of these severities."""
        return {case.row for case in self.cases if KINDS[case.kind].severity in severities}


def check_folder(
    folder: str | os.PathLike[str],
    observers: Iterable[Observer] = (),
    *,
    roots: Iterable[str | os.PathLike[str]] = (),
    frame_rate: float = transcripts.FRAME_RATE,
    progress: bool = True,
) -> Report:
    """Find what is wrong with a folder of recordings. A recording that cannot be read is a finding, too.

    Args:
      folder: with a metadata.csv, or such a file.
      observers: networks that look at the recordings, too.
      roots: further folders in which recordings may lie.
      frame_rate: output frames a second of the recogniser that transcripts must be aligned with.
      progress: show on standard error how far it is.
    Raises:
      ManifestError: the list cannot be read at all.
      ValueError: a root is no folder.
    """
    listing, observers = read_listing(folder, roots), tuple(observers)
    sounds: list[Sound | None] = [None] * len(listing)
    cases = list(listing.cases)
    present = [row for row, clip in enumerate(listing.clips) if clip is not None]
    clips = [clip for clip in listing.clips if clip is not None]
    name = Path(listing.path).resolve().parent.name
    with progress_bar(f"checking {name}", len(present), progress, unit="recordings") as advance:
        for row, recording in zip(present, read_clips(clips), strict=True):
            if isinstance(recording, AudioError):
                cases.append(Case(UNDECODABLE.name, row, 0.0, 1.0, _without_path(str(recording), listing, row)))
            else:
                sounds[row] = measured = measure(recording)
                cases += sound.sound_cases(row, measured)
                waveforms: dict[int, np.ndarray] = {}
                for observer in observers:
                    if measured.loudest_db >= sound.SILENT_DB and observer.wants(row):
                        rate = observer.sample_rate
                        waveforms.setdefault(rate, mono(recording, rate))
                        observer.take(row, waveforms[rate])
            advance(1)
    cases += sound.odd_durations(sounds) + _of_lists(listing, sounds, frame_rate)
    for observer in observers:
        cases += observer.cases()
    return Report(listing, _ordered(cases), summarise(listing, sounds))


def _of_lists(listing: Listing, sounds: Sequence[Sound | None], frame_rate: float) -> list[Case]:
    """What is wrong with the cells of rows that can be read, and with copies."""
    columns: Mapping[str, Sequence[str]] = {name: listing.canonical(name) or [] for name in listing.columns}
    audible = [None if each is None or each.loudest_db < sound.SILENT_DB else each for each in sounds]
    digests = [None if each is None else each.digest for each in audible]
    cases = copies.copies(digests, columns["file_name"], columns) + spellings.unlike_spellings(listing.columns)
    if "transcription" in columns:
        texts = columns["transcription"]
        seconds = np.array([np.nan if each is None else each.seconds for each in audible])
        sounding = np.array([np.nan if each is None else each.sounding for each in audible])
        cases += transcripts.empty_texts(texts)
        cases += transcripts.odd_lengths(texts, seconds, sounding, columns.get("language"))
        cases += transcripts.infeasible_texts(texts, seconds, frame_rate)
        cases += transcripts.characters_once(texts)
    return cases


def _ordered(cases: Iterable[Case]) -> list[Case]:
    places = {name: place for place, name in enumerate(KINDS)}
    return sorted(cases, key=lambda case: (places[case.kind], -case.excess, case.row))


def _without_path(message: str, listing: Listing, row: int) -> str:
    """The message without the whole path of the file, which stands beside it."""
    clip = listing.clips[row]
    return message.removeprefix(f"{clip.path}: ").rstrip(".") if clip is not None else message
