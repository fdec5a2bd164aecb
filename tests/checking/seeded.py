"""`python -m tests.checking.seeded [FOLDER]`: put known faults into copies of recordings, and count which are found.

Without a folder the recordings are synthesised (extra "synth"). The copies are thrown away.
"""

import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from tyro.conf import Positional

from jaxmeta.checking.folder import Report, check_folder
from jaxmeta.checking.losses import TranscriptLosses
from jaxmeta.checking.voices import pretrained_voices
from jaxmeta.cli.ranges import Seed, Within
from jaxmeta.data.checking.kinds import KINDS
from jaxmeta.data.checking.listing import read_listing
from jaxmeta.data.checking.reading import read_channels
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.synthesis.sentences import sentences
from jaxmeta.data.synthesis.speech import Utterance, default_voices, plan, synthesise
from jaxmeta.recognition.recogniser import load_recogniser
from tests.checking.faults import FAULTS, LOSS, VOICES, Recordings

COLUMNS = ("transcription", "speaker", "split", "language")


@dataclass
class Counts:
    """What became of the faults of a kind."""

    put: int = 0
    found: int = 0
    false: int = 0
    """Rows without a fault that have a finding of this kind."""
    own: int = 0
    """Rows that had it before any fault was put in."""


def main(
    folder: Positional[Path | None] = None,
    speaker_embedding: Path | None = None,
    recogniser: Path | None = None,
    speakers: Annotated[int, Within(5, 1_000)] = 14,
    each: Annotated[int, Within(8, 1_000)] = 12,
    seed: Seed = 0,
) -> None:
    """Print a table of found, missed and false findings.

    Args:
        folder: Of recordings with the columns transcription, speaker and split.
        speaker_embedding: Weights of Resemblyzer; without them no voices are compared.
        recogniser: Folder; without one no losses are looked at.
        speakers: Whose recordings are taken, in the order of their names.
        each: Recordings of each.
        seed: Of which recordings get which fault.
    """
    with tempfile.TemporaryDirectory() as place:
        source = folder or synthesised(Path(place) / "speech", speakers, each)
        counts, reports = seeded(source, Path(place), speaker_embedding, recogniser, speakers, each, seed)
        print(table(counts))
        rows = [len(report.listing) for report in reports]
        had = len(reports[0].rows())
        print(f"\n{rows[0]} recordings, and {rows[1] - rows[0]} copies of some; {had} had findings before")
    if any(count.found < count.put for count in counts.values()):
        sys.exit(1)


def seeded(
    source: Path, place: Path, weights: Path | None, recogniser: Path | None, speakers: int, each: int, seed: int
) -> tuple[dict[str, Counts], tuple[Report, Report]]:
    """What is found in copies of recordings with faults, by kind, and the reports without and with them."""
    data = copies(source, speakers, each, seed)
    left_out = (set() if recogniser is not None else LOSS) | (set() if weights is not None else VOICES)
    faults = [fault for fault in FAULTS if fault.kind not in left_out]
    before = check(data.write(place / "before"), weights, recogniser)
    # Voices first, for they need whole speakers.
    rows = {fault: fault.put(data) for fault in sorted(faults, key=lambda fault: fault.kind not in VOICES)}
    after = check(data.write(place / "after"), weights, recogniser)
    counts = {name: Counts() for name in KINDS if name not in left_out}
    cases: dict[str, set[int]] = defaultdict(set)
    for case in after.cases:
        cases[case.kind].add(case.row)
    own = {(case.kind, case.row) for case in before.cases}
    for fault in faults:
        counts[fault.kind].put += 1
        counts[fault.kind].found += bool(cases[fault.kind] & set(rows[fault]))
        if not cases[fault.kind] & set(rows[fault]):
            print(f"missed: {fault.kind}, {fault.what} in rows {rows[fault]}", file=sys.stderr)
    for case in after.cases:
        if case.row in data.untouched and (case.kind, case.row) not in own:
            counts[case.kind].false += 1
            print(f"false: {case.kind} in row {case.row + 2}: {case.message}", file=sys.stderr)
    for name, number in Counter(kind for kind, _ in own).items():
        counts[name].own = number
    return counts, (before, after)


def table(counts: dict[str, Counts]) -> str:
    lines = ["| finding | faults | found | missed | false rows | rows before |", "|---|---|---|---|---|---|"]
    total = Counts()
    for name, count in counts.items():
        cells = (name, count.put, count.found, count.put - count.found, count.false, count.own)
        lines.append(f"| {' | '.join(map(str, cells))} |")
        for attribute in vars(total):
            setattr(total, attribute, getattr(total, attribute) + getattr(count, attribute))
    missed = total.put - total.found
    return "\n".join([*lines, f"| all | {total.put} | {total.found} | {missed} | {total.false} | {total.own} |"])


def copies(source: Path, speakers: int, each: int, seed: int) -> Recordings:
    """Some recordings of the first speakers that have as many, whose transcripts are spread over all of theirs."""
    manifest, rng = read_manifest(source), np.random.default_rng(seed)
    columns = {name: manifest.columns[name].tolist() for name in COLUMNS if name in manifest.columns}
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(columns["speaker"]):
        rows[name].append(row)
    able = sorted(name for name, own in rows.items() if len(own) >= each)
    names = [able[place] for place in np.linspace(0, len(able) - 1, min(speakers, len(able))).astype(int)]
    chosen = [row for name in names for row in sorted(rng.permutation(rows[name])[:each].tolist())]
    paths = manifest.paths()
    sounds = [(recording.samples, recording.sample_rate) for recording in (read_channels(paths[row]) for row in chosen)]
    cells = [
        {"file_name": f"{place:04d}.wav"} | {name: values[row] for name, values in columns.items()}
        for place, row in enumerate(chosen)
    ]
    return Recordings(cells, sounds, rng, untouched=list(range(len(chosen))))


def check(folder: Path, weights: Path | None, recogniser: Path | None) -> Report:
    listing = read_listing(folder).columns
    voices = [] if weights is None else [pretrained_voices(weights, listing["speaker"])]
    losses = [] if recogniser is None else [TranscriptLosses(load_recogniser(recogniser), listing["transcription"])]
    return check_folder(folder, [*voices, *losses], progress=False)


def synthesised(folder: Path, speakers: int, each: int) -> Path:
    """Sentences by artificial voices."""
    spoken = sentences(speakers * each, 0)
    utterances: list[Utterance] = []
    for number, voice in enumerate(default_voices(speakers, 0, 0)):
        words = [word._replace(split=voice.split) for word in spoken[number * each : (number + 1) * each]]
        utterances += plan(words, [voice])
    return synthesise(folder, utterances, workers=1)


if __name__ == "__main__":
    tyro.cli(main)
