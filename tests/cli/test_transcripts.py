"""`jaxmeta transcribe --format`: what is written, where, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxmeta.cli.endings import WritingError, status_of
from jaxmeta.cli.main import main
from jaxmeta.cli.transcripts import Part, files_for, folder_for, write
from jaxmeta.data.audio import write_audio
from jaxmeta.models.pretrained.voice_activity import CHUNK
from jaxmeta.recognition.recogniser import save_recogniser
from jaxmeta.recognition.segments.formats import Segment
from tests.cli.test_cli import fails
from tests.recognition.conftest import recogniser, voice_folder  # noqa: F401
from tests.recognition.segments.subtitles import read_srt, read_vtt

A, B = Path("a.wav"), Path("b.flac")
PARTS = [
    Part(A, 3.0, Segment(0, 1, "well")), Part(A, 3.0, Segment(1, 2, "")), Part(A, 3.0, Segment(2, 3, "done")),
    Part(A, 3.0, None), Part(B, 1.0, None),
]  # fmt: skip


@pytest.fixture
def checkpoint(recogniser, tmp_path):  # noqa: F811
    return str(save_recogniser(tmp_path / "recogniser", recogniser))


def test_a_text_is_printed_stretch_by_stretch(capsys):
    seen = []

    def parts():
        for part in PARTS:
            yield part
            seen.append(capsys.readouterr().out)

    assert write(parts(), "text", {}) == 2
    assert seen == ["a.wav\twell", "", " done", "\n", "b.flac\t\n"]


@pytest.mark.parametrize(("format", "read"), [("srt", read_srt), ("vtt", read_vtt)])
def test_subtitles_go_into_a_file_for_each_recording(format, read, tmp_path, capsys):
    places = files_for(format, [A, B], tmp_path)
    assert write(PARTS, format, places) == 2
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / f"a.{format}"), str(tmp_path / f"b.{format}")]
    assert read((tmp_path / f"a.{format}").read_text()) == [(0, 1, "well"), (2, 3, "done")]
    assert read((tmp_path / f"b.{format}").read_text()) == []


def test_text_and_json_go_into_files_too(tmp_path):
    write(PARTS, "text", files_for("text", [A, B], tmp_path))
    write(PARTS, "json", files_for("json", [A, B], tmp_path))
    assert (tmp_path / "a.txt").read_text() == "well done\n" and (tmp_path / "b.txt").read_text() == "\n"
    assert json.loads((tmp_path / "b.json").read_text())["segments"] == []


def test_files_that_would_be_lost_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"takes one recording, got 2; give --out FOLDER"):
        files_for("srt", [A, B], None)
    with pytest.raises(ValueError, match=r"a\.wav and x/a\.ogg would both be written to"):
        files_for("vtt", [A, B, Path("x/a.ogg")], tmp_path)
    with pytest.raises(ValueError, match=r"a\.wav and a\.wav would both be written to"):
        files_for("text", [A, A], tmp_path)
    (tmp_path / "b.srt").touch()
    with pytest.raises(ValueError, match=r"b\.srt exists; delete it"):
        files_for("srt", [A, B], tmp_path)
    assert files_for("json", [A, A], None) == {} == files_for("vtt", [A], None)


def test_a_folder_is_new_or_there_and_only_a_new_and_empty_one_goes_again(tmp_path):
    with folder_for(tmp_path / "a" / "b"):
        pass
    assert not (tmp_path / "a" / "b").exists()
    with folder_for(tmp_path):
        pass
    with folder_for(tmp_path / "c"):
        (tmp_path / "c" / "a.srt").touch()
    assert (tmp_path / "c" / "a.srt").exists()
    with pytest.raises(WritingError, match="cannot be written") as caught, folder_for(tmp_path / "c" / "a.srt"):
        pass
    assert status_of(caught.value) == 74


@pytest.mark.slow
def test_a_recogniser_writes_times_where_a_detector_finds_speech(checkpoint, tmp_path, monkeypatch, capsys):
    def detect(waveform):
        starts = np.arange(-(-len(waveform) // CHUNK)) * CHUNK / 16_000
        return ((starts >= 3) & (starts < 5) | (starts >= 9)).astype(float)

    monkeypatch.setattr("jaxmeta.recognition.segments.stretches.load_detector", lambda path: detect)
    long, bad = str(tmp_path / "long.wav"), str(tmp_path / "bad.wav")
    write_audio(long, np.random.default_rng(0).uniform(-0.5, 0.5, 12 * 16_000), 16_000)
    Path(bad).write_text("no audio")
    options = ["--voice-activity", "vad", "--longest", "4"]
    with pytest.raises(SystemExit) as stop:
        main(["transcribe", checkpoint, long, bad, "--format", "srt", "--out", str(tmp_path / "out"), *options])
    said = capsys.readouterr()
    assert stop.value.code == 3 and said.out == f"{tmp_path / 'out' / 'long.srt'}\n" and "bad.wav" in said.err
    cues = read_srt((tmp_path / "out" / "long.srt").read_text())
    np.testing.assert_allclose([(start, end) for start, end, _ in cues], [(2.8, 5.2), (8.8, 12)], atol=0.05)
    main(["transcribe", checkpoint, long, "--format", "json", *options])
    row = json.loads(capsys.readouterr().out)
    assert row["version"] == 1 and row["seconds"] == 12 and row["text"] == " ".join(text for _, _, text in cues)
    assert [(part["start"], part["end"], part["text"]) for part in row["segments"]] == cues
    main(["transcribe", checkpoint, long, "--format", "vtt", *options])
    assert read_vtt(capsys.readouterr().out) == cues


def test_formats_that_contradict_are_refused(checkpoint, voice_folder, capsys):  # noqa: F811
    files = [str(voice_folder / "audio" / f"{index}.wav") for index in (0, 1)]
    assert "--format is srt; give one of them" in fails(
        ["transcribe", checkpoint, *files, "--json", "--format", "srt"], capsys
    )
    assert "takes one recording, got 2" in fails(["transcribe", checkpoint, *files, "--format", "vtt"], capsys)
