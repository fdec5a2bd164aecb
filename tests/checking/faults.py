"""Faults that are put on purpose into copies of recordings: at least two of each kind of finding."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import soundfile

from jaxmeta.data.checking.kinds import KINDS

VOICES, LOSS = {"one-voice-two-names", "two-voices-one-name"}, {"loss"}
"""Kinds that need weights, and a recogniser."""


@dataclass
class Recordings:
    """Copies of recordings, in memory until they are written; faults change them."""

    rows: list[dict[str, str]]
    """Cells by column; all rows have the same columns, with file_name, transcription, speaker and split."""
    sounds: list[tuple[np.ndarray, int]]
    """Samples [S, C] and Hz of each row."""
    rng: np.random.Generator
    damage: dict[int, Callable[[Path], object]] = field(default_factory=dict)
    """Row -> what is done to its file once that is written."""
    cells: dict[int, list[str]] = field(default_factory=dict)
    """Row -> its fields, where they are not those of the columns."""
    untouched: list[int] = field(default_factory=list)
    """Rows without a fault."""

    def take(self, **wanted: str) -> int:
        """An untouched row, which is touched from now on."""
        able = [row for row in self.untouched if all(self.rows[row][name] == cell for name, cell in wanted.items())]
        row = int(self.rng.choice(able))
        self.untouched.remove(row)
        return row

    def copy(self, row: int, **changed: str) -> int:
        """A further row that names a copy of a file."""
        number = len(self.rows)
        self.rows.append(self.rows[row] | {"file_name": f"{number:04d}.wav"} | changed)
        self.sounds.append(self.sounds[row])
        return number

    def change(self, row: int, change: Callable[[np.ndarray, int], np.ndarray]) -> list[int]:
        samples, rate = self.sounds[row]
        loud = samples * (0.5 / max(float(np.abs(samples).max()), 1e-6))
        self.sounds[row] = change(loud, rate), rate
        return [row]

    def write(self, folder: Path) -> Path:
        """Write the files as 16-bit WAV, and the list of them."""
        folder.mkdir(parents=True)
        for row, (cells, (samples, rate)) in enumerate(zip(self.rows, self.sounds, strict=True)):
            path = folder / cells["file_name"]
            soundfile.write(path, np.clip(samples, -1, 1), rate, subtype="PCM_16")
            self.damage.get(row, lambda path: None)(path)
        names = list(self.rows[0])
        lines = [names] + [self.cells.get(row, [cells[name] for name in names]) for row, cells in enumerate(self.rows)]
        quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines]
        (folder / "metadata.csv").write_text("\n".join(quoted) + "\n", encoding="utf-8")
        return folder


class Fault(NamedTuple):
    """A kind of finding, and what makes one."""

    kind: str
    what: str
    put: Callable[[Recordings], list[int]]
    """Changes some rows, and returns them: a finding of the kind in any of them counts."""


def sound(change: Callable[[np.ndarray, int], np.ndarray]) -> Callable[[Recordings], list[int]]:
    """A fault that changes the samples [S, C] of a row, whose largest is 0.5."""
    return lambda data: data.change(data.take(), change)


def cell(name: str, change: Callable[[str], str]) -> Callable[[Recordings], list[int]]:
    """A fault that changes a cell of a row."""

    def put(data: Recordings) -> list[int]:
        row = data.take()
        data.rows[row][name] = change(data.rows[row][name])
        return [row]

    return put


def file(change: Callable[[Path], object]) -> Callable[[Recordings], list[int]]:
    """A fault that changes the file of a row."""

    def put(data: Recordings) -> list[int]:
        row = data.take()
        data.damage[row] = change
        return [row]

    return put


def through(rate: int) -> Callable[[np.ndarray, int], np.ndarray]:
    def change(samples: np.ndarray, own: int) -> np.ndarray:
        lower = librosa.resample(samples[:, 0], orig_sr=own, target_sr=rate)
        return librosa.resample(lower, orig_sr=rate, target_sr=own)[:, None]

    return change


def looped(seconds: float) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda samples, rate: np.resize(samples, (round(seconds * rate), samples.shape[1]))


def beside(other: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, int], np.ndarray]:
    """A second channel."""
    return lambda samples, rate: np.concatenate([samples[:, :1], other(samples[:, :1])], axis=1)


def loudest(seconds: float) -> Callable[[np.ndarray, int], np.ndarray]:
    def change(samples: np.ndarray, rate: int) -> np.ndarray:
        count = round(seconds * rate)
        start = int(np.convolve(np.square(samples[:, 0]), np.ones(count), "valid").argmax())
        return samples[start : start + count]

    return change


def row_of(change: Callable[[list[str]], list[str]]) -> Callable[[Recordings], list[int]]:
    def put(data: Recordings) -> list[int]:
        row = data.take()
        data.cells[row] = change([*data.rows[row].values()])
        return [row]

    return put


def copied(padding: int = 0, **changed: str) -> Callable[[Recordings], list[int]]:
    def put(data: Recordings) -> list[int]:
        row = data.take()
        number = data.copy(row, **changed)
        samples, rate = data.sounds[number]
        data.sounds[number] = np.pad(samples, ((padding, padding), (0, 0))), rate
        return [number]

    return put


def halved(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def no_number(path: Path) -> None:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples[len(samples) // 2] = np.nan
    soundfile.write(path, samples, rate, subtype="FLOAT")


def swapped(data: Recordings) -> list[int]:
    """Two rows with each other's transcripts, which are about as long."""
    first = data.take()
    length = len(data.rows[first]["transcription"])
    able = [row for row in data.untouched if data.rows[row]["transcription"] != data.rows[first]["transcription"]]
    second = min(able, key=lambda row: abs(len(data.rows[row]["transcription"]) - length))
    data.untouched.remove(second)
    one, other = data.rows[first], data.rows[second]
    one["transcription"], other["transcription"] = other["transcription"], one["transcription"]
    return [first, second]


def renamed(share: float) -> Callable[[Recordings], list[int]]:
    """A share of a speaker's recordings under another name."""

    def put(data: Recordings) -> list[int]:
        rows = _of_a_speaker(data)
        chosen = rows[: round(share * len(rows))]
        for row in chosen:
            data.rows[row]["speaker"] += "b"
        return rows

    return put


def merged(share: float) -> Callable[[Recordings], list[int]]:
    """A share of a speaker's recordings under the name of somebody else."""

    def put(data: Recordings) -> list[int]:
        rows, others = _of_a_speaker(data), _of_a_speaker(data)
        for row in rows[: round(share * len(rows))]:
            data.rows[row]["speaker"] = data.rows[others[0]]["speaker"]
        return rows + others

    return put


def _of_a_speaker(data: Recordings) -> list[int]:
    """The rows of a speaker of whom most are untouched."""
    names = [data.rows[row]["speaker"] for row in data.untouched]
    name = max(sorted(set(names)), key=names.count)
    rows = [row for row in data.untouched if data.rows[row]["speaker"] == name]
    data.untouched = [row for row in data.untouched if row not in rows]
    return rows


RNG = np.random.default_rng(7)
FAULTS = [
    Fault("one-voice-two-names", "half of a speaker under another name", renamed(0.5)),
    Fault("one-voice-two-names", "half of another speaker under another name", renamed(0.5)),
    Fault("two-voices-one-name", "a speaker under the name of another", merged(1.0)),
    Fault("two-voices-one-name", "half of a speaker under the name of another", merged(0.5)),
    Fault("unreadable-row", "a field too many", row_of(lambda cells: [*cells, "more"])),
    Fault("unreadable-row", "a field too few", row_of(lambda cells: cells[:-1])),
    Fault("missing", "no file", file(Path.unlink)),
    Fault("missing", "an empty file", file(lambda path: path.write_bytes(b""))),
    Fault("missing", "a name that leads out", row_of(lambda cells: ["../outside.wav", *cells[1:]])),
    Fault("undecodable", "half a file", file(halved)),
    Fault("undecodable", "a text", file(lambda path: path.write_text("no audio at all"))),
    Fault("undecodable", "NaN", file(no_number)),
    Fault("silence", "zeros", sound(lambda samples, rate: 0 * samples)),
    Fault("silence", "noise at -80 dB", sound(lambda samples, rate: 1e-4 * RNG.standard_normal(samples.shape))),
    Fault("contradicting-copy", "another transcript", copied(transcription="something else")),
    Fault("contradicting-copy", "another split", copied(split="elsewhere")),
    Fault("spelling", "capitals or none", cell("split", str.swapcase)),
    Fault("spelling", "a blank", cell("speaker", lambda name: f"{name} ")),
    Fault("spelling", "another Unicode form", cell("speaker", lambda name: f"{name}\u200b")),
    Fault("ctc-infeasible", "six times the transcript", cell("transcription", lambda text: " ".join([text] * 9))),
    Fault("ctc-infeasible", "0.2 s of the recording", sound(loudest(0.2))),
    Fault("no-transcript", "nothing", cell("transcription", lambda text: "")),
    Fault("no-transcript", "blanks", cell("transcription", lambda text: "  ")),
    Fault("clipping", "20 dB too loud", sound(lambda samples, rate: np.clip(20 * samples, -1, 1))),
    Fault("clipping", "as much, and quieter again", sound(lambda samples, rate: 0.3 * np.clip(20 * samples, -1, 1))),
    Fault("dc-offset", "+0.05", sound(lambda samples, rate: samples + 0.05)),
    Fault("dc-offset", "-0.1", sound(lambda samples, rate: samples - 0.1)),
    Fault("dead-channel", "zeros", sound(beside(lambda samples: 0 * samples))),
    Fault("dead-channel", "the last bit alone", sound(beside(lambda samples: np.sign(samples) / 32768))),
    Fault("inverted-channel", "the opposite", sound(beside(lambda samples: -samples))),
    Fault("inverted-channel", "the opposite, quieter", sound(beside(lambda samples: -0.4 * samples + 0.001))),
    Fault("very-short", "0.05 s", sound(loudest(0.05))),
    Fault("very-short", "0.08 s", sound(loudest(0.08))),
    Fault("very-long", "35 s", sound(looped(35))),
    Fault("very-long", "60 s", sound(looped(60))),
    Fault("copy", "another name", copied()),
    Fault("copy", "silences at the ends", copied(padding=500)),
    Fault("low-rate", "by way of 8,000 Hz", sound(through(8_000))),
    Fault("low-rate", "by way of 11,025 Hz", sound(through(11_025))),
    Fault("odd-transcript", "that of five recordings", cell("transcription", lambda text: " ".join([text] * 5))),
    Fault("odd-transcript", "a letter", cell("transcription", lambda text: text[:1])),
    Fault("loss", "two transcripts exchanged", swapped),
    Fault("loss", "two others exchanged", swapped),
    Fault("character-once", "a letter of another language", cell("transcription", lambda text: f"{text}\u0153")),
    Fault("character-once", "a sign", cell("transcription", lambda text: f"{text} \u20ac")),
]  # fmt: skip
assert {fault.kind for fault in FAULTS} == set(KINDS)
