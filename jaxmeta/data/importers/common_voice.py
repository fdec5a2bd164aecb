"""Releases of Mozilla Common Voice: TSV files with a header, beside the folder `clips`. Quotes mean nothing in them."""

from collections.abc import Iterator
from pathlib import Path

from jaxmeta.data.importers.rows import LANGUAGE, SPEAKER, TEXT, Rejection, Row, SourceError, renamed
from jaxmeta.data.importers.texts import lenient_lines

_NAMES = {"sentence": TEXT, "client_id": SPEAKER, "locale": LANGUAGE}
_SPLITS = {"train": "train", "dev": "val", "test": "test"}


def read(path: Path) -> Iterator[Row | Rejection]:
    """The clips of a TSV file, or of train, dev and test of a folder; of validated.tsv where it has none of them."""
    if path.is_file():
        yield from _read(path)
        return
    files = [path / f"{name}.tsv" for name in _SPLITS if (path / f"{name}.tsv").is_file()]
    for file in files or [path / "validated.tsv"]:
        yield from _read(file)


def _read(file: Path) -> Iterator[Row | Rejection]:
    header: list[str] = []
    for item in lenient_lines(file):
        if isinstance(item, Rejection):
            yield item
            continue
        place, line = item
        fields = line.split("\t")
        if not header:
            header = fields
            if "path" not in header or len(set(header)) < len(header):
                raise SourceError(f"{file}, line 1: needs distinct columns with path among them, got {header}.")
        elif len(fields) != len(header):
            yield Rejection(file, place, f"{len(fields)} fields where the header has {len(header)}")
        else:
            values = dict(zip(header, fields, strict=True))
            split = {"split": _SPLITS[file.stem]} if file.stem in _SPLITS else {}
            columns = renamed(values, _NAMES, frozenset({"path"})) | split
            yield Row(file, place, values["path"], columns, base=file.parent / "clips")
