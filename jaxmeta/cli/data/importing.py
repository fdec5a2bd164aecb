"""`jaxmeta data import SOURCE --out DIR`"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from jaxmeta.cli.ranges import Roots, Within
from jaxmeta.data.importers.detection import Format, detect

if TYPE_CHECKING:
    from jaxmeta.data.importers.rows import Rejection, Row
    from jaxmeta.data.manifests.clips import Clip
    from jaxmeta.data.manifests.importing import Imported


def import_data(
    source: Positional[Path],
    out: Path,
    from_: Annotated[Format | None, tyro.conf.arg(name="from")] = None,
    copy: bool = False,
    root: Roots = (),
    shown: Annotated[int, Within(0, 1_000_000)] = 5,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Make a folder that the other commands take, of recordings that are listed in the format of another tool.

    The folder gets a metadata.csv, and a rejected.csv that names file, row and reason for each row that is of no use.
    Recordings stay where they are, unless they are copied. The folder appears once it is complete.

    Args:
        source: A list of recordings, or a folder with one: NeMo JSONL, Lhotse cuts (JSONL, perhaps gz), a Kaldi folder,
            Common Voice TSV, AudioFolder, LJSpeech, TextGrid, Audacity labels, ELAN, or recordings beside .txt files.
        out: Folder for the manifest; must not exist yet.
        from_: Format of the list; without it, the one that alone fits.
        copy: Copy the recordings into the folder; pieces of long ones become files of their own.
        root: Folder that recordings may lie in besides that of the list; may be given several times.
        shown: Rejected rows that are named on standard error; rejected.csv has all.
        dry_run: Look at everything, say what would be written, and write nothing.
        json: Write the result as a line of JSON.
    """
    from jaxmeta.cli.claimed import drafted
    from jaxmeta.data.manifests.importing import import_rows, write_import

    format_ = from_ or detect(source)
    folder = source if source.is_dir() else source.parent
    if dry_run:
        imported = import_rows(_rows(format_, source), folder, root)
        _check_any(source, format_, imported)
    else:
        with drafted(out) as draft:
            imported = import_rows(_rows(format_, source), folder, root)
            _check_any(source, format_, imported)
            imported = write_import(imported, draft, copy=copy)
    for each in imported.rejections[:shown]:
        print(f"{each.file}, row {each.number}: {each.reason}", file=sys.stderr)
    if (more := len(imported.rejections) - shown) > 0 and shown:
        print(f"and {more:,} more" + ("" if dry_run else f", in {out / 'rejected.csv'}"), file=sys.stderr)
    tell("data import", imported, format_, out, copied=copy, dry_run=dry_run, as_json=json)


def tell(command: str, imported: Imported, what: str, out: Path, *, copied: bool, dry_run: bool, as_json: bool) -> None:
    """Print the accounting of rows, and which --root the manifest needs."""
    from jaxmeta.cli.output import show
    from jaxmeta.data.manifests.importing import summary

    counts = summary(imported)
    roots = [] if copied else [str(root) for root in imported.roots]
    hours = sum(_seconds(each.clip) for each in imported.utterances) / 3600
    row = {"out": None if dry_run else str(out), "dry_run": dry_run, "from": what, **counts, "hours": round(hours, 5)}
    lines = [
        f"{what}: {counts['read']:,} rows read = {counts['used']:,} used + {counts['rejected']:,} rejected",
        *([f"{hours:.3g} hours"] if dry_run else []),
        f"would be written to {out}" if dry_run else f"written to {out}",
    ]
    if roots:
        given = " ".join(f"--root {shlex.quote(root)}" for root in roots)
        lines.append(f"the recordings stay where they are: give commands {given}")
    show(command, row | {"roots": roots}, "\n".join(lines), as_json=as_json)


def _seconds(clip: Clip) -> float:
    from jaxmeta.data.audio import declared_seconds

    return declared_seconds(clip.path) - clip.start if clip.duration is None else clip.duration


def _rows(format_: Format, source: Path) -> Iterator[Row | Rejection]:
    from jaxmeta.data.importers import (
        audacity,
        audiofolder,
        common_voice,
        elan,
        kaldi,
        lhotse,
        ljspeech,
        nemo,
        textgrid,
        transcripts,
    )  # fmt: skip
    from jaxmeta.data.importers.rows import SourceError

    if not source.exists():
        raise SourceError(f"{source}: no such file or folder.")
    modules = {
        "nemo": nemo, "lhotse": lhotse, "kaldi": kaldi, "common-voice": common_voice, "audiofolder": audiofolder,
        "ljspeech": ljspeech, "textgrid": textgrid, "audacity": audacity, "elan": elan, "transcripts": transcripts,
    }  # fmt: skip
    return modules[format_].read(source)


def _check_any(source: Path, format_: str, imported: Imported) -> None:
    if imported.utterances:
        return
    if not imported.rejections:
        raise ValueError(f"{source}: holds no rows as {format_}; give --from if it is of another format.")
    first = imported.rejections[0]
    raise ValueError(
        f"{source}: none of its {imported.read:,} rows as {format_} can be used. {first.file}, row {first.number}: "
        f"{first.reason}."
    )
