"""LJSpeech and what is laid out like it: metadata.csv of lines ID|TEXT|NORMALISED TEXT, beside the folder `wavs`."""

from collections.abc import Iterator
from pathlib import Path

from jaxmeta.data.importers.rows import TEXT, Rejection, Row
from jaxmeta.data.importers.texts import lenient_lines


def read(path: Path) -> Iterator[Row | Rejection]:
    """The recordings of a folder or of its metadata.csv; the normalised text is the transcript where there is one."""
    file = path / "metadata.csv" if path.is_dir() else path
    for item in lenient_lines(file):
        if isinstance(item, Rejection):
            yield item
            continue
        place, line = item
        if not line.strip():
            continue
        name, *texts = line.split("|")
        if len(texts) not in (1, 2) or not name:
            yield Rejection(file, place, f"{len(texts) + 1} fields and not 2 or 3: ID|TEXT|NORMALISED TEXT")
            continue
        written, spoken = texts[0], texts[-1] or texts[0]
        columns = {TEXT: spoken} | ({"written": written} if len(texts) == 2 else {})
        audio = name if name.lower().endswith((".wav", ".flac")) else f"{name}.wav"
        yield Row(file, place, audio, columns, base=file.parent / "wavs")
