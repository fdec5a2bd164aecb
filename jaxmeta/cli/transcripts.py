"""Where `jaxmeta transcribe` writes what is said: on standard output as it becomes known, or a file a recording."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jaxmeta.cli.endings import WritingError

if TYPE_CHECKING:
    from jaxmeta.recognition.segments.formats import Format, Segment


class Part(NamedTuple):
    """What has become known of a recording."""

    file: Path
    seconds: float
    """Of the whole recording."""
    segment: Segment | None
    """The next stretch; None: there are no more."""


def files_for(format: Format, files: Sequence[Path], out: Path | None) -> dict[Path, Path]:
    """Recording -> the file of its transcript; empty where all go to standard output.

    Raises:
      ValueError: subtitles of several recordings on standard output; two transcripts in one file; a file that exists.
    """
    from jaxmeta.recognition.segments.formats import SUFFIXES

    if out is None:
        if format in ("srt", "vtt") and len(files) > 1:
            raise ValueError(
                f"--format {format} on standard output takes one recording, got {len(files)}; give --out FOLDER, where "
                "each gets a file of its own."
            )
        return {}
    places = {file: out / f"{file.stem}{SUFFIXES[format]}" for file in files}
    for file, place in places.items():
        if others := [str(each) for each in files if each.stem == file.stem][1:]:
            raise ValueError(f"{file} and {others[0]} would both be written to {place}; rename one, or give it alone.")
        if place.exists():
            raise ValueError(f"{place} exists; delete it, or name another folder by --out.")
    return places


@contextlib.contextmanager
def folder_for(out: Path | None) -> Iterator[None]:
    """Make the folder before the work begins, and remove it if it is new and nothing was written.

    Raises:
      WritingError: it cannot be made.
    """
    new = out is not None and not out.exists()
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WritingError(f"--out {out}: cannot be written ({error.strerror}); name another folder.") from None
    try:
        yield
    finally:
        if out is not None and new:
            with contextlib.suppress(OSError):  # It holds transcripts.
                out.rmdir()


def write(parts: Iterable[Part], format: Format, places: dict[Path, Path]) -> int:
    """Write transcripts, and say where those are that have a file; returns how many.

    Raises:
      WritingError: a file cannot be written; those before it stay.
    """
    done, waiting = 0, ""
    for part, text in _texts(parts, format, named=not places):
        if not places:
            print(text, end="", flush=True)
        waiting += text
        if part.segment is None:
            done += 1
            if places:
                _save(places[part.file], waiting)
                print(places[part.file], flush=True)
            waiting = ""
    return done


def _texts(parts: Iterable[Part], format: Format, *, named: bool) -> Iterator[tuple[Part, str]]:
    """Each part with what is to be written for it."""
    from jaxmeta.recognition.segments.formats import cue, header, json_line

    segments: list[Segment] = []
    begun = False
    for part in parts:
        text = "" if begun else f"{part.file}\t" if named and format == "text" else header(format)
        begun = part.segment is not None
        if part.segment is None:
            text += {"text": "\n", "json": json_line(str(part.file), part.seconds, segments)}.get(format, "")
            segments = []
        elif part.segment.text:
            segments.append(part.segment)
            if format == "text":
                text += f" {part.segment.text}" if len(segments) > 1 else part.segment.text
            elif format != "json":
                text += cue(format, len(segments), part.segment)
        yield part, text


def _save(place: Path, text: str) -> None:
    from jaxmeta.files.durable import write_text

    try:
        write_text(place, text)
    except OSError as error:
        raise WritingError(f"{place}: cannot be written ({error.strerror or error}); name another --out.") from None
