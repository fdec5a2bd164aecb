"""`jaxmeta data check DIR`"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

from jaxmeta.cli.ranges import Roots, Within

if TYPE_CHECKING:
    from jaxmeta.checking.folder import Observer


def check(
    folder: Positional[Path],
    recogniser: Path | None = None,
    speaker_embedding: Path | None = None,
    assistant: Path | None = None,
    json: bool = False,
    html: Path | None = None,
    frame_rate: Annotated[float, Within(1, 1_000)] = 25.0,
    root: Roots = (),
) -> None:
    """Find what is wrong with a folder of recordings, before anyone trains on it.

    Prints what the folder holds, and a table of findings with the worst row and a remedy of each. The exit status is 0
    without findings that are errors, and 5 with some; warnings and notes do not count. A recording that cannot be read
    is a finding, and stops nothing.

    Args:
        folder: Folder with a metadata.csv whose column file_name names the recordings; label, transcription, speaker,
            language and split are looked at where they are there.
        recogniser: Folder of a trained recogniser: transcripts under which its loss is unusual are reported, too.
        speaker_embedding: Weights of Resemblyzer, resemblyzer_ge2e.safetensors: voices are compared with the names in
            the column speaker.
        assistant: Folder that `jaxmeta train assistant` or `jaxmeta enroll` wrote, whose network compares voices
            instead.
        json: Write all findings as a line of JSON instead of the table.
        html: File for a page of HTML with the worst twenty recordings to listen to; an existing one is replaced.
        frame_rate: Output frames a second of the recogniser that will be trained, which its transcripts must fit into.
        root: Folder that the recordings lie in, if it is not that of the metadata.csv; may be given several times.
    """
    from jaxmeta.checking.folder import check_folder
    from jaxmeta.checking.listening import as_page
    from jaxmeta.checking.table import as_json, as_text
    from jaxmeta.cli.endings import FINDINGS, WritingError
    from jaxmeta.cli.output import show
    from jaxmeta.data.checking.listing import read_listing
    from jaxmeta.files.durable import write_text

    if speaker_embedding is not None and assistant is not None:
        raise ValueError("--speaker-embedding and --assistant both compare voices; give one of them.")
    if html is not None and not html.absolute().parent.is_dir():
        raise WritingError(f"--html {html}: there is no folder {html.absolute().parent}; make it first.")
    listing = read_listing(folder, root)
    observers = _observers(listing.columns, recogniser, speaker_embedding, assistant)
    report = check_folder(folder, observers, roots=root, frame_rate=frame_rate)
    show("data check", as_json(report), as_text(report), as_json=json)
    if html is not None:
        write_text(html, as_page(report, f"jaxmeta {shlex.join(sys.argv[1:])}"))
    if report.grave:
        raise SystemExit(FINDINGS)


def _observers(
    columns: dict[str, list[str]], recogniser: Path | None, speaker_embedding: Path | None, assistant: Path | None
) -> list[Observer]:
    """The networks that look at recordings, too."""
    observers: list[Observer] = []
    if speaker_embedding is not None or assistant is not None:
        from jaxmeta.checking.voices import assistant_voices, pretrained_voices

        if "speaker" not in columns:
            raise ValueError("the list has no column speaker, so that there are no names to compare voices with.")
        names = columns["speaker"]
        if speaker_embedding is not None:
            observers.append(pretrained_voices(speaker_embedding, names))
        elif assistant is not None:
            observers.append(assistant_voices(assistant, names))
    if recogniser is not None:
        from jaxmeta.checking.losses import TranscriptLosses
        from jaxmeta.recognition.recogniser import load_recogniser

        if "transcription" not in columns:
            raise ValueError("the list has no column transcription, so that --recogniser has nothing to compare with.")
        observers.append(TranscriptLosses(load_recogniser(recogniser), columns["transcription"]))
    return observers
