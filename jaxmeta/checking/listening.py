"""A report as one page of HTML with the worst recordings to listen to."""

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from jaxmeta.checking.folder import Report
from jaxmeta.checking.table import facts_of, place_of
from jaxmeta.data.audio import AudioError
from jaxmeta.data.checking.kinds import KINDS, SEVERITIES, Case
from jaxmeta.data.checking.reading import Channels, read_clips
from jaxmeta.files.page import (
    Html,
    audio,
    code,
    details,
    element,
    escaped,
    facts,
    heading,
    link,
    page,
    paragraph,
    table,
)

WORST = 20
"""Recordings that can be listened to."""
SECONDS = 15.0
"""Longer recordings are cut off there."""
MOST_BYTES = 12_000_000
"""Of all recordings in the page, before they are written as text, which takes a third more."""
LISTED = 200
"""Rows of a kind that the page names; the JSON has all."""
_MOST_CHANNELS, _MOST_RATE = 8, 655_350
"""What a FLAC file can hold, in channels and in Hz."""


def as_page(report: Report, command: str = "", *, most_bytes: int = MOST_BYTES) -> str:
    """The report as HTML: what the folder holds, the findings, the worst recordings to listen to, and all rows.

    The worst recordings are decoded once more: the worst of each kind, then the second worst of each, and so on.
    Args:
      report: of a folder that is still there.
      command: that made the report, to show.
      most_bytes: of the recordings in the page; what goes beyond has its row, and no player.
    """
    counts = Counter(case.kind for case in report.cases)
    parts = [facts(facts_of(report.summary))] + ([code(command)] if command else [])
    if not counts:
        return page(_title(report), [*parts, paragraph("No findings.")])
    parts += [heading("Findings"), _findings(counts), heading("The worst to listen to")]
    parts.append(
        paragraph(
            f"At most {WORST} recordings, of each kind in turn, the first {SECONDS:g} s of each. Turn the volume down: "
            "some may be loud.",
            kind="quiet",
        )
    )
    parts.append(table(["row", "findings", "recording"], _to_hear(report, most_bytes)))
    parts.append(heading("All rows"))
    for name, count in counts.items():
        own = [case for case in report.cases if case.kind == name]
        rows = [[place_of(report, case), _saying(report, case), case.message] for case in own[:LISTED]]
        beyond = "" if count <= LISTED else f" (the worst {LISTED})"
        parts += [
            heading(name, 3, anchor=name),
            details(f"{count:,} rows{beyond}", table(["row", "says", "finding"], rows), shown=count <= 20),
        ]
    return page(_title(report), parts)


def worst_cases(report: Report, most: int = WORST) -> list[Case]:
    """The recordings to listen to first, each once: the worst of each kind, then the second of each, and so on."""
    waiting = [[case for case in report.cases if case.kind == name] for name in KINDS]
    chosen: dict[int, Case] = {}
    for place in range(max(map(len, waiting), default=0)):
        for cases in waiting:
            if place < len(cases) and len(chosen) < most and report.listing.clips[cases[place].row] is not None:
                chosen.setdefault(cases[place].row, cases[place])
    return list(chosen.values())


def _title(report: Report) -> str:
    return f"Check of {report.listing.path.resolve().parent.name}"


def _findings(counts: Counter[str]) -> Html:
    rows = [
        [link(name, name), element("span", KINDS[name].severity, class_=KINDS[name].severity), count,
         KINDS[name].threshold, KINDS[name].remedy]
        for name, count in sorted(counts.items(), key=lambda item: SEVERITIES.index(KINDS[item[0]].severity))
    ]  # fmt: skip
    return table(["finding", "severity", "rows", "from where on", "what to do"], rows)


def _to_hear(report: Report, most_bytes: int) -> Iterator[list[object]]:
    chosen, left = worst_cases(report), most_bytes
    clips = [clip for case in chosen if (clip := report.listing.clips[case.row]) is not None]
    for case, recording in zip(chosen, read_clips(clips), strict=True):
        own = [f"{each.kind}: {each.message}" for each in report.cases if each.row == case.row]
        said = element("div", *(element("div", each) for each in own))
        if isinstance(recording, AudioError):
            player: Html = escaped("cannot be decoded")
        elif recording.sample_rate > _MOST_RATE:
            player = escaped(f"cannot be played at {recording.sample_rate:,} Hz")
        else:
            content = _flac(recording)
            fits = len(content) <= left
            left -= len(content) if fits else 0
            name = Path(report.listing.columns["file_name"][case.row]).name
            player = audio(content, "audio/flac", name) if fits else escaped("too large for this page")
        yield [place_of(report, case), said, player]


def _flac(recording: Channels) -> bytes:
    """The beginning of a recording as a 16-bit FLAC file, with all its channels as far as browsers play them."""
    samples = recording.samples[: round(SECONDS * recording.sample_rate), :_MOST_CHANNELS]
    content = io.BytesIO()
    soundfile.write(content, np.clip(samples, -1, 1), recording.sample_rate, format="FLAC", subtype="PCM_16")
    return content.getvalue()


def _saying(report: Report, case: Case) -> str:
    """What the list says of the row, without its file."""
    columns = report.listing.columns
    return ", ".join(
        f"{name} {columns[name][case.row]}" for name in ("label", "transcription", "speaker") if name in columns
    )
