"""The same utterances as other tools would list them, and what of their text each format can hold."""

import csv
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

SECONDS = 0.25
"""Of each utterance; the third one ends where the recording of three does."""


class Said(NamedTuple):
    """An utterance."""

    text: str
    speaker: str
    language: str


def one_line(text: str) -> str:
    return " ".join(text.replace("\r", "\n").split("\n"))


def without(*characters: str) -> Callable[[str], str]:
    def hold(text: str) -> str:
        for each in characters:
            text = text.replace(each, "_")
        return one_line(text)

    return hold


def any_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def xml(text: str) -> str:
    """Without what XML 1.0 cannot hold."""
    fits = "".join(each if each in "\t\n" or (each >= " " and each not in "\ufffe\uffff") else "_" for each in text)
    return any_line_ends(fits)


def blanks_as_spaces(text: str) -> str:
    return " ".join(text.split())


def nemo(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    rows = [
        {"audio_filepath": str(path), "text": each.text, "speaker": each.speaker, "lang": each.language,
         "duration": SECONDS}
        for path, each in zip(audio, said, strict=True)
    ]  # fmt: skip
    return lines(folder / "manifest.json", rows)


def lhotse(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    rows = []
    for place, (path, each) in enumerate(zip(audio, said, strict=True)):
        source = {"type": "file", "channels": [0], "source": str(path)}
        recording = {"id": path.stem, "sources": [source], "sampling_rate": 16_000, "duration": SECONDS}
        supervision = {"id": f"{place}", "recording_id": path.stem, "start": 0.0, "duration": SECONDS, "channel": 0,
                       "text": each.text, "speaker": each.speaker, "language": each.language}  # fmt: skip
        rows.append({"id": f"cut{place}", "start": 0, "duration": SECONDS, "channel": 0, "type": "MonoCut",
                     "supervisions": [supervision], "recording": recording})  # fmt: skip
    path = folder / "cuts.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


def kaldi(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    names = [f"utt{place}" for place in range(len(said))]
    about = {"wav.scp": audio, "text": [each.text for each in said], "utt2spk": [each.speaker for each in said],
             "utt2lang": [each.language for each in said]}  # fmt: skip
    for file, values in about.items():
        content = "".join(f"{name} {value}\n" for name, value in zip(names, values, strict=True))
        (folder / file).write_text(content, encoding="utf-8", newline="")
    return folder


def common_voice(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    rows = [
        f"{each.speaker}\t{path}\t{each.text}\t2\t{each.language}\t" for path, each in zip(audio, said, strict=True)
    ]
    header = "client_id\tpath\tsentence\tup_votes\tlocale\tsegment"
    path = folder / "other.tsv"
    path.write_text("\r\n".join([header, *rows, ""]), encoding="utf-8-sig", newline="")
    return path


def audiofolder_csv(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    path = folder / "metadata.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["file_name", "text", "speaker", "language"])
        writer.writerows([path, *each] for path, each in zip(audio, said, strict=True))
    return path


def audiofolder_jsonl(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    rows = [
        {"file_name": str(path), "transcription": each.text, "speaker": each.speaker, "language": each.language}
        for path, each in zip(audio, said, strict=True)
    ]
    return lines(folder / "metadata.jsonl", rows)


def ljspeech(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    content = "".join(f"{path}|as written|{each.text}\n" for path, each in zip(audio, said, strict=True))
    (folder / "metadata.csv").write_text(content, encoding="utf-8", newline="")
    return folder


def textgrid(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    long = beside(folder, audio)
    end = len(said) * SECONDS
    quoted = [each.text.replace('"', '""') for each in said]
    intervals = "".join(
        f'intervals [{place + 1}]:\n xmin = {place * SECONDS}\n xmax = {(place + 1) * SECONDS}\n text = "{text}"\n'
        for place, text in enumerate(quoted)
    )
    path = long.with_suffix(".TextGrid")
    path.write_text(
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = {end}\ntiers? <exists>\nsize = 1\n'
        f'item []:\n item [1]:\n class = "IntervalTier"\n name = "said 1"\n xmin = 0\n xmax = {end}\n'
        f"intervals: size = {len(said)}\n{intervals}",
        encoding="utf-16", newline="",
    )  # fmt: skip
    return path


def audacity(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    path = beside(folder, audio).with_suffix(".txt")
    content = "".join(
        f"{place * SECONDS:f}\t{(place + 1) * SECONDS:f}\t{each.text}\n\\\t100.0\t200.0\n"
        for place, each in enumerate(said)
    )
    path.write_text(content, encoding="utf-8", newline="")
    return path


def elan(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    path = beside(folder, audio).with_suffix(".eaf")
    ends = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="ts{place}" TIME_VALUE="{round(1000 * SECONDS * place)}"/>'
        for place in range(len(said) + 1)
    )
    tiers = "".join(
        f'<TIER TIER_ID="t{place}" PARTICIPANT={quoteattr(each.speaker)} LANG_REF={quoteattr(each.language)} '
        f'LINGUISTIC_TYPE_REF="utterance"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{place}" '
        f'TIME_SLOT_REF1="ts{place}" TIME_SLOT_REF2="ts{place + 1}"><ANNOTATION_VALUE>{escape(each.text)}'
        "</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>"
        for place, each in enumerate(said)
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT><HEADER><MEDIA_DESCRIPTOR '
        f'MEDIA_URL="file:///gone/long.wav" RELATIVE_MEDIA_URL="./long.wav"/></HEADER><TIME_ORDER>{ends}</TIME_ORDER>'
        f"{tiers}</ANNOTATION_DOCUMENT>",
        encoding="utf-8", newline="",
    )  # fmt: skip
    return path


def transcripts(folder: Path, audio: list[Path], said: list[Said]) -> Path:
    for path, each in zip(audio, said, strict=True):
        shutil.copyfile(path, folder / path.name)
        (folder / path.name).with_suffix(".txt").write_text(each.text, encoding="utf-8-sig", newline="")
    return folder


def beside(folder: Path, audio: list[Path]) -> Path:
    """A copy of the recording that holds all utterances, one after the other."""
    return Path(shutil.copyfile(audio[0].with_name("long.wav"), folder / "long.wav"))


def lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows), encoding="utf-8", newline="")
    return path
