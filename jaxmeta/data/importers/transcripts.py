"""A folder of recordings, each beside a text file of the same name that says what is said in it."""

from collections.abc import Iterator
from pathlib import Path

from jaxmeta.data.importers.recordings import SUFFIXES, beside, files_of
from jaxmeta.data.importers.rows import TEXT, Rejection, Row, SourceError
from jaxmeta.data.importers.texts import text


def read(path: Path) -> Iterator[Row | Rejection]:
    """The recordings of a folder and of the folders in it; what has no partner is rejected."""
    for recording in files_of(path, SUFFIXES):
        transcript = recording.with_suffix(".txt")
        if not transcript.is_file():
            yield Rejection(recording, 1, f"there is no {transcript.name} beside it")
            continue
        try:
            said = " ".join(text(transcript).split())
        except SourceError as error:
            yield Rejection(transcript, 1, str(error).removeprefix(f"{transcript}").lstrip(":, "))
            continue
        if said:
            yield Row(transcript, 1, recording.name, {TEXT: said})
        else:
            yield Rejection(transcript, 1, "holds no text")
    for transcript in files_of(path, (".txt",)):
        if beside(transcript) is None:
            yield Rejection(transcript, 1, "there is no recording of this name beside it")
