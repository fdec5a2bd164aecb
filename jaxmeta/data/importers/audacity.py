"""Labels of Audacity: text files with a line START, tab, END, tab, LABEL for each, beside the recordings.

Source: Audacity's manual, "Importing and exporting labels"; lines that begin with a backslash are ranges of frequency.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from jaxmeta.data.importers.recordings import beside, files_of
from jaxmeta.data.importers.rows import TEXT, Rejection, Row, between
from jaxmeta.data.importers.texts import lenient_lines

LINE = re.compile(r"[0-9.eE+-]+\t[0-9.eE+-]+(\t.*)?")
"""How a label is written."""


def read(path: Path) -> Iterator[Row | Rejection]:
    """The labels of a file, or of all files of a folder, as pieces of the recordings of the same names."""
    for file in files_of(path, (".txt",)):
        recording = beside(file)
        for item in lenient_lines(file):
            if isinstance(item, Rejection):
                yield item
                continue
            place, line = item
            if not line.strip() or line.startswith("\\"):
                continue
            start, _, rest = line.partition("\t")
            end, _, label = rest.partition("\t")
            try:
                piece = between(start, end)
            except ValueError as error:
                yield Rejection(file, place, str(error))
                continue
            if recording is None:
                yield Rejection(file, place, f"there is no recording beside it, such as {file.stem}.wav")
            elif not label.strip():
                yield Rejection(file, place, "the label is empty")
            else:
                yield Row(file, place, recording.name, {TEXT: label}, *piece)
