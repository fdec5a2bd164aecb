"""`jaxmeta train recogniser`: from folders of recordings to a recogniser that transcribes."""

import json
from pathlib import Path
from typing import get_args

import pytest

from jaxmeta.cli.main import main
from jaxmeta.data.manifest import read_manifest
from jaxmeta.models.acoustic import SIZES, Encoder, Size
from jaxmeta.recognition import training
from jaxmeta.recognition.presets import PRESETS, RecogniserPreset
from tests.cli.test_cli import fails
from tests.recognition.conftest import SAID, SPEAKERS, interrupted, write_voice


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    """A network that compiles at once, in a process whose settings stay."""
    monkeypatch.setitem(SIZES["dnn"], "tiny", Size(16, 1))
    monkeypatch.setattr("jaxmeta.training.runtime.prepare", lambda **options: None)


@pytest.fixture
def folder(tmp_path):
    return write_voice(tmp_path / "speech", SAID, speaker=SPEAKERS)


def command(folder, out, *more):
    return ["train", "recogniser", str(folder), "--out", str(out), "--encoder", "dnn", "--updates", "3", *more]


@pytest.mark.slow
def test_a_recogniser_is_trained_tested_and_transcribes(folder, tmp_path, capsys):
    out = tmp_path / "recogniser"
    main(command(folder, out))
    said = capsys.readouterr()
    assert "| val | " in said.out and f"written to {out}" in said.out
    assert "by a draw with seed 0" in said.err and "[4/4] writing the recogniser" in said.err
    results = json.loads((out / "results.json").read_bytes())
    (row,), run = results["rows"], results["run"]
    assert row["speakers"] == 2 and 0 <= row["cer_low"] <= row["cer"] <= row["cer_high"]
    assert run["seed"] == 0 and set(run["data"]) == {str(folder)} and "training" in run["seconds"]
    assert said.out.startswith((out / "results.md").read_text(encoding="utf-8").split("\n\n")[0])
    main(["transcribe", str(out), str(folder / "audio" / "0.wav")])
    assert capsys.readouterr().out.startswith(str(folder / "audio" / "0.wav"))
    assert "exists and holds a trained recogniser" in fails(command(folder, out), capsys)


@pytest.mark.slow
def test_an_interrupted_command_resumes(folder, tmp_path, capsys, monkeypatch):
    make, out = training.batch_sampler, tmp_path / "recogniser"
    arguments = command(folder, out, "--updates", "9")  # Training runs a few updates ahead of what it has seen.
    monkeypatch.setattr(training, "batch_sampler", interrupted(make, 2))
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 143 and not (out / "card.json").exists()
    assert "the same command resumes" in capsys.readouterr().err
    monkeypatch.setattr(training, "batch_sampler", make)
    assert "updates=9 there, 4 here" in fails([*arguments, "--updates", "4"], capsys)
    main(arguments)
    assert (out / "results.json").exists()


def test_bad_arguments_are_said(folder, tmp_path, capsys):
    out = tmp_path / "recogniser"
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "metadata.csv").write_text("file_name,transcription\n", encoding="utf-8")
    assert "metadata.csv: a header but no rows" in fails(command(tmp_path / "empty", out), capsys)
    assert "name one or more folders of recordings, or give --synthesised" in fails(
        ["train", "recogniser", "--out", str(out)], capsys
    )
    assert "not both" in fails(command(folder, out, "--synthesised"), capsys)
    assert "--updates must lie between 1 and" in fails([*command(folder, out), "--updates", "0"], capsys)
    assert "exists and holds no interrupted training" in fails(command(folder, tmp_path / "empty"), capsys)
    assert not out.exists()


def test_choices_are_those_of_the_networks():
    hints = RecogniserPreset.__annotations__
    assert get_args(hints["encoder"]) == get_args(Encoder) == tuple(SIZES)
    assert all(tuple(sizes) == get_args(hints["size"]) for sizes in SIZES.values())
    assert all(preset.frames_per_batch >= preset.max_frames for preset in PRESETS.values())


@pytest.mark.slow
def test_synthesised_sentences_need_no_recordings(tmp_path, capsys):
    pytest.importorskip("espeakng_loader", reason='needs the extra "synth"')
    out = tmp_path / "recogniser"
    main(["train", "recogniser", "--synthesised", "--out", str(out), "--encoder", "dnn", "--updates", "2"])
    rows = json.loads((out / "results.json").read_bytes())["rows"]
    assert [(row["split"], row["speakers"]) for row in rows] == [("val", 8), ("test", 16)]
    voice = read_manifest(out / "voice")
    assert len(voice.paths()) == 20 and all(Path(path).is_file() for path in voice.paths())
