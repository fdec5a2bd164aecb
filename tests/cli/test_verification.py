"""The command line: enroll, verify, spot, and what they say of bad input."""

import json

import numpy as np
import pytest

from jaxmeta.cli.main import main
from jaxmeta.data.audio import read_audio, write_audio
from jaxmeta.data.manifest import write_manifest
from jaxmeta.verification.assistant import save_assistant
from jaxmeta.verification.user import load_user
from tests.cli.test_cli import fails
from tests.verification.conftest import RATE, assistant, other_folder, voice_folder, waveform, write_voice  # noqa: F401


@pytest.fixture(scope="module")
def assistant_folder(assistant, tmp_path_factory):  # noqa: F811
    return str(save_assistant(tmp_path_factory.mktemp("assistant") / "saved", assistant))


@pytest.fixture(scope="module")
def me(assistant_folder, voice_folder, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("me") / "me"
    main(["enroll", str(voice_folder), "--out", str(out), "--assistant", assistant_folder])
    return out


def test_enroll_keeps_a_voice_and_its_words_and_no_audio(assistant_folder, voice_folder, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "me"
    main(["enroll", str(voice_folder), "--out", str(out), "--assistant", assistant_folder, "--json"])
    row = json.loads(capsys.readouterr().out)
    assert row == {
        "version": 1, "command": "enroll", "out": str(out), "recordings": 6, "added": 6,
        "words": {"hum": 3, "whistle": 3}, "doubtful": [], "copies": 0,
    }  # fmt: skip
    assert not list(out.rglob("*.wav"))
    kept = tmp_path / "kept"
    main(["enroll", str(voice_folder), "--out", str(kept), "--assistant", assistant_folder, "--keep-audio"])
    assert "6 recordings of the voice, 6 of them new; words: hum (3), whistle (3)" in capsys.readouterr().out
    assert len(list((kept / "audio").glob("*.wav"))) == 6


def test_verify_accepts_the_voice_and_rejects_another(me, voice_folder, other_folder, capsys):  # noqa: F811
    files = [str(folder / "hum_0.wav") for folder in (voice_folder, other_folder)]
    main(["verify", str(me), *files])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [[files[0], "accept"], [files[1], "reject"]]
    main(["verify", str(me), *files, "--json", "--prior", "0.001"])
    actual = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert float(rows[0][2]) > actual[0]["probability"]
    assert {*actual[0]} == {"version", "command", "file", "decision", "probability", "ratio"}


def test_spot_says_which_word_where_and_by_whom(me, tmp_path, capsys):
    pause = 1e-4 * np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    said = [waveform("hum", "low", 7), waveform("whistle", "other", 8)]
    write_audio(tmp_path / "two.wav", np.concatenate([pause, said[0], pause, said[1], pause]), RATE)
    main(["spot", str(me), str(tmp_path / "two.wav"), "--json", "--ratio", "0"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    loud = [row for row in rows if row["end"] - row["start"] > 0.4]
    assert (loud[0]["word"], loud[0]["speaker"]) == ("hum", "accept")
    assert abs(loud[0]["start"] - 1) < 0.15 and all(row["speaker"] != "accept" for row in loud[1:])
    main(["spot", str(me), str(tmp_path / "two.wav"), "--ratio", "0", "--mine"])
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(line.endswith("accept") for line in lines)
    main(["spot", str(me), str(tmp_path / "two.wav"), "--ratio", "1e9"])
    assert capsys.readouterr().out == f"{tmp_path / 'two.wav'}\t-\n"


def test_only_accepted_recordings_are_added(me, other_folder, voice_folder, tmp_path, capsys):  # noqa: F811
    main(["enroll", str(other_folder), "--out", str(tmp_path / "a"), "--update", str(me)])
    said = capsys.readouterr().out
    assert "row 2: hum_0.wav not added: its speaker is not accepted." in said
    assert "6 recordings of the voice, 0 of them new" in said
    for before, after in zip(load_user(me)[1], load_user(tmp_path / "a")[1], strict=True):
        np.testing.assert_array_equal(before, after)
    new = write_voice(tmp_path / "new", first=10)
    main(["enroll", str(new), "--out", str(tmp_path / "b"), "--update", str(me)])
    assert "12 recordings of the voice, 6 of them new; words: hum (6)" in capsys.readouterr().out


def test_a_recording_that_is_enrolled_already_counts_once(me, voice_folder, tmp_path, capsys):  # noqa: F811
    more = ["--out", str(tmp_path / "more"), "--update", str(me)]
    assert "the earlier enrolment has all of these" in fails(["enroll", str(voice_folder), *more], capsys)
    new = write_voice(tmp_path / "new", first=10)
    (new / "hum_10.wav").write_bytes((voice_folder / "hum_0.wav").read_bytes())
    main(["enroll", str(new), *more])
    said = capsys.readouterr().out
    assert "row 2: this recording is in the earlier enrolment" in said and "11 recordings of the voice, 5 of" in said


def test_recordings_of_somebody_else_are_pointed_out(assistant_folder, tmp_path, capsys):
    folder = write_voice(tmp_path / "mixed")
    write_audio(folder / "hum_1.wav", waveform("hum", "other", 1), RATE)
    main(["enroll", str(folder), "--out", str(tmp_path / "me"), "--assistant", assistant_folder])
    assert "row 3: hum_1.wav does not sound like the others" in capsys.readouterr().out


def test_copies_count_once_and_silence_is_no_voice(assistant_folder, me, tmp_path, capsys):
    folder = write_voice(tmp_path / "copies")
    (folder / "hum_1.wav").write_bytes((folder / "hum_0.wav").read_bytes())
    main(["enroll", str(folder), "--out", str(tmp_path / "a"), "--assistant", assistant_folder])
    said = capsys.readouterr().out
    assert "row 3: the same recording as that of" in said and "5 recordings of the voice, 5 of them new" in said
    assert load_user(tmp_path / "a")[1].counts == (2, 3)
    write_audio(folder / "hum_2.wav", np.zeros(RATE, np.float32), RATE)
    said = fails(["enroll", str(folder), "--out", str(tmp_path / "b"), "--assistant", assistant_folder], capsys)
    assert "row 4" in said and "is silent but for 0.00 s" in said and not (tmp_path / "b").exists()
    assert "is silent" in fails(["verify", str(me), str(folder / "hum_2.wav")], capsys)


def test_bad_input_is_said(assistant_folder, me, voice_folder, tmp_path, capsys):  # noqa: F811
    enroll = ["enroll", str(voice_folder), "--out", str(tmp_path / "x"), "--assistant"]
    assert "no assistant (assistant.json is missing)" in fails([*enroll, str(tmp_path)], capsys)
    assert "--prior must lie between 0 and 1" in fails([*enroll, assistant_folder, "--prior", "2"], capsys)
    assert "--sure must lie between 0.5 and 1" in fails(["verify", str(me), "a.wav", "--sure", "0.2"], capsys)
    assert "exists; name a new folder" in fails([*enroll[:3], str(me), "--assistant", assistant_folder], capsys)
    low = write_voice(tmp_path / "low", rate=8_000)
    said = fails(["enroll", str(low), "--out", str(tmp_path / "x"), "--assistant", assistant_folder], capsys)
    assert "metadata.csv, row 2" in said and "at 8000 Hz and the network at 16000 Hz" in said
    assert "no user (user.json is missing); run `jaxmeta enroll`" in fails(["verify", str(tmp_path), "a.wav"], capsys)
    assert "a.wav" in fails(["verify", str(me), "a.wav"], capsys)
    assert "no files to verify" in fails(["verify", str(me)], capsys)
    assert "no files to search" in fails(["spot", str(me)], capsys)
    assert not (tmp_path / "x").exists()


def test_pieces_of_recordings_are_enrolled_like_files(assistant_folder, voice_folder, tmp_path, capsys):  # noqa: F811
    names = [f"{word}_{take}.wav" for word in ("hum", "whistle") for take in range(3)]
    parts = [read_audio(voice_folder / name, RATE) for name in names]
    (tmp_path / "recordings").mkdir()
    write_audio(tmp_path / "recordings" / "long.wav", np.concatenate(parts), RATE)
    ends = np.cumsum([0, *map(len, parts)]) / RATE
    columns = {"file_name": ["long.wav"] * 6, "label": [name.split("_")[0] for name in names],
               "start": ends[:-1], "duration": np.diff(ends)}  # fmt: skip
    write_manifest(tmp_path / "lists", columns)
    for folder, out in ((voice_folder, "files"), (tmp_path / "lists", "pieces")):
        given = ["--root", str(tmp_path / "recordings"), "--assistant", assistant_folder, "--keep-audio"]
        main(["enroll", str(folder), "--out", str(tmp_path / out), *given])
    assert capsys.readouterr().out.count("6 recordings of the voice, 6 of them new; words: hum (3), whistle (3)") == 2
    users = [load_user(tmp_path / out)[1] for out in ("files", "pieces")]
    np.testing.assert_allclose(users[0].voice, users[1].voice, atol=1e-3)
    assert sorted(path.name for path in (tmp_path / "pieces" / "audio").iterdir()) == [
        f"{row}_long.flac" for row in range(2, 8)]  # fmt: skip
