"""The command line: adapt, transcribe, and what it says of bad input."""

import json
import re
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxmeta.cli.main import main
from jaxmeta.compress.artefact import load
from jaxmeta.data.audio import write_audio
from jaxmeta.decoding.ngram import train_ngram, write_arpa
from jaxmeta.recognition.recogniser import load_recogniser, save_recogniser
from tests.recognition.conftest import TEXTS, recogniser, voice_folder, write_voice  # noqa: F401


@pytest.fixture
def checkpoint(recogniser, tmp_path):  # noqa: F811
    return str(save_recogniser(tmp_path / "recogniser", recogniser))


def fails(arguments, capsys):
    """The message of a command that must fail, and write nothing to standard output."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    said = capsys.readouterr()
    assert stop.value.code == 2 and not said.out and "Traceback" not in said.err
    return said.err


@pytest.mark.slow
def test_transcribe_writes_a_line_for_each_file_in_order(checkpoint, voice_folder, capsys):  # noqa: F811
    files = [str(voice_folder / "audio" / f"{index}.wav") for index in (2, 0)]
    main(["transcribe", checkpoint, *files])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == files
    main(["transcribe", checkpoint, *files, "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["file"] for row in rows] == files and [row["seconds"] for row in rows] == [0.12, 0.24]
    assert [row["text"] for row in rows] == [line.split("\t")[1] for line in lines]


def test_unreadable_files_are_named_and_others_transcribed(checkpoint, voice_folder, tmp_path, capsys):  # noqa: F811
    good, bad = [str(voice_folder / "audio" / f"{index}.wav") for index in (0, 1)], tmp_path / "bad.wav"
    bad.write_text("no audio")
    with pytest.raises(SystemExit) as stop:
        main(["transcribe", checkpoint, good[0], str(bad), good[1]])
    said = capsys.readouterr()
    assert stop.value.code == 3 and [line.split("\t")[0] for line in said.out.splitlines()] == good
    assert str(bad) in said.err and "1 of 3 files could not be read" in said.err


def test_a_language_model_makes_words_of_its_own_alone(checkpoint, voice_folder, tmp_path, capsys):  # noqa: F811
    arpa = tmp_path / "words.arpa"
    write_arpa(train_ngram([["ab", "ba"], ["ab"]], 2), arpa)
    main(["transcribe", checkpoint, str(voice_folder / "audio" / "1.wav"), "--lm", str(arpa)])
    _, text = capsys.readouterr().out.rstrip("\n").split("\t")
    assert set(text.split()) <= {"ab", "ba"}


def test_adapt_writes_a_recogniser_that_transcribes(checkpoint, voice_folder, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "mine"
    main(["adapt", checkpoint, str(voice_folder), "--out", str(out), "--folds", "2", "--always", "--json"])
    actual = json.loads(capsys.readouterr().out)
    assert actual["recordings"] == 4 and actual["adapted"] and actual["change_low"] <= actual["change_high"]
    before, after = load_recogniser(checkpoint), load_recogniser(out)
    assert not np.array_equal(before.params["head"]["kernel"], after.params["head"]["kernel"])
    assert not list(out.rglob("*.wav"))
    main(["transcribe", str(out), str(voice_folder / "audio" / "0.wav")])
    assert "exists; name a new folder" in fails(["adapt", checkpoint, str(voice_folder), "--out", str(out)], capsys)


def test_an_uncertain_gain_keeps_the_recogniser(recogniser, voice_folder, tmp_path, capsys):  # noqa: F811
    still = recogniser._replace(card=replace(recogniser.card, rate=0.0))
    checkpoint, out = save_recogniser(tmp_path / "still", still), tmp_path / "mine"
    main(["adapt", str(checkpoint), str(voice_folder), "--out", str(out)])
    said = capsys.readouterr().out
    assert "change +0.0 points" in said and "kept as it was" in said
    np.testing.assert_array_equal(load_recogniser(out).params["head"]["kernel"], still.params["head"]["kernel"])


def test_a_rate_that_is_no_number_writes_nothing(checkpoint, voice_folder, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "mine"
    said = fails(["adapt", checkpoint, str(voice_folder), "--out", str(out), "--always", "--rate", "nan"], capsys)
    assert "--rate must lie between 0 and 100, got nan" in said and not out.exists()


@pytest.mark.slow
def test_weights_that_adaptation_made_infinite_are_not_written(recogniser, voice_folder, tmp_path, capsys):  # noqa: F811
    fast = recogniser._replace(card=replace(recogniser.card, rate=1e30))
    out, checkpoint = tmp_path / "mine", str(save_recogniser(tmp_path / "fast", fast))
    with pytest.raises(SystemExit) as stop:
        main(["adapt", checkpoint, str(voice_folder), "--out", str(out), "--always"])
    said = capsys.readouterr()
    assert stop.value.code == 2 and "are not finite, so that nothing is written" in said.err and not out.exists()
    assert "the gain is not certain" in said.out  # The verdict is told before anything is written.


def test_case_is_folded_as_the_card_says(checkpoint, tmp_path, capsys):
    folder = write_voice(tmp_path / "upper", [text.upper() for text in TEXTS])
    main(["adapt", checkpoint, str(folder), "--out", str(tmp_path / "mine"), "--folds", "2"])
    assert "of characters wrong" in capsys.readouterr().out


@pytest.mark.slow
def test_export_checks_what_it_wrote(checkpoint, voice_folder, tmp_path, capsys):  # noqa: F811
    pytest.importorskip("flatbuffers", reason='needs the extra "export"')
    clips = [str(voice_folder / "audio" / f"{index}.wav") for index in range(3)]
    for bits, out in (("32", tmp_path / "whole.zip"), ("8", tmp_path / "small.zip")):
        main(["export", checkpoint, "--to", "stablehlo", "--out", str(out), "--bits", bits, "--clips", *clips])
        said = capsys.readouterr().out
        assert float(re.search(r"difference ([\d.e-]+);", said)[1]) < 1e-5
        assert f"{out.stat().st_size:,} bytes; " in said and "on 3 recordings" in said
    assert (tmp_path / "small.zip").stat().st_size < (tmp_path / "whole.zip").stat().st_size
    assert load(tmp_path / "small.zip").card["vocabulary"]["units"] == [" ", "a", "b"]
    again = ["export", checkpoint, "--to", "stablehlo", "--out", str(out)]
    assert "exists; name a new file" in fails(again, capsys)
    said = fails([*again[:-1], str(tmp_path / "x"), "--bits", "7"], capsys)
    assert "--bits" in said and "invalid choice '7'" in said.lower()


def test_weights_alone_are_exported_with_their_card(checkpoint, recogniser, tmp_path, capsys):  # noqa: F811
    safetensors = pytest.importorskip("safetensors", reason='needs the extra "export"')
    out = tmp_path / "weights.safetensors"
    main(["export", checkpoint, "--to", "safetensors", "--out", str(out)])
    assert "largest difference 0; " in capsys.readouterr().out
    with safetensors.safe_open(out, "numpy") as file:
        np.testing.assert_array_equal(file.get_tensor("head/kernel"), recogniser.params["head"]["kernel"])
        assert json.loads(file.metadata()["card"])["builder"] == "dnn"
    other = ["export", checkpoint, "--to", "safetensors", "--out", str(tmp_path / "x"), "--bits", "8"]
    assert "bits must be 32 for safetensors, got 8" in fails(other, capsys)


def test_export_to_onnx_takes_recordings_up_to_its_length(checkpoint, voice_folder, tmp_path, capsys):  # noqa: F811
    pytest.importorskip("jax2onnx", reason='needs the extra "onnx"')
    if jax.__version_info__ >= (0, 12):
        pytest.skip("jax2onnx does not know this version of jax")
    clips = [str(voice_folder / "audio" / f"{index}.wav") for index in range(3)]
    command = ["export", checkpoint, "--to", "onnx", "--clips", *clips, "--out"]
    main([*command, str(tmp_path / "whole.onnx")])
    assert float(re.search(r"difference ([\d.e-]+);", capsys.readouterr().out)[1]) < 1e-5
    main([*command, str(tmp_path / "small.onnx"), "--bits", "8"])
    assert 0 < float(re.search(r"difference ([\d.e-]+);", capsys.readouterr().out)[1]) < 0.5
    assert "more than the 10 that the file is for" in fails([*command, str(tmp_path / "x"), "--seconds", "0.1"], capsys)
    assert not (tmp_path / "x").exists()


def test_a_version_of_jax_that_the_converter_does_not_know_is_said(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jaxmeta.compress.onnx._TOO_NEW", (0, 10))
    said = fails(["export", checkpoint, "--to", "onnx", "--out", str(tmp_path / "x.onnx")], capsys)
    assert f"does not know jax {jax.__version__}" in said and not (tmp_path / "x.onnx").exists()


FILES = ["audio/0.wav", "audio/1.wav"]
BAD = {
    "no transcripts": ({"transcription": None}, "row 1: no transcription column"),
    "unknown characters": ({"texts": ["ab", "aß"]}, "row 3: 'aß' has 'ß'"),
    "one recording": ({"texts": ["ab"]}, "one recording; adaptation needs two"),
    "another sample rate": ({"rate": 8_000}, "row 2: .*0.wav: is at 8000 Hz and the network at 16000 Hz"),
    "another's transcript": (
        {"file_name": FILES, "transcription": ["ab", "ab" * 40]},
        "row 3: 'abab.*' is too long for 0.61 s",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_adapted_to_is_said_with_file_and_row(name, checkpoint, tmp_path, capsys):
    voice, message = BAD[name]
    folder = write_voice(tmp_path / "bad", **voice)
    said = fails(["adapt", checkpoint, str(folder), "--out", str(tmp_path / "out")], capsys)
    assert "metadata.csv" in said and re.search(message, said), said
    assert not (tmp_path / "out").exists()


def test_a_network_with_a_largest_length_has_no_program_for_any_length(recogniser, tmp_path, capsys):  # noqa: F811
    limited = recogniser._replace(card=replace(recogniser.card, longest=200))
    checkpoint, out = save_recogniser(tmp_path / "limited", limited), tmp_path / "out"
    said = fails(["export", str(checkpoint), "--to", "stablehlo", "--out", str(out)], capsys)
    assert "this network takes 200 frames; use onnx" in said and not out.exists()


def test_files_that_are_none_and_folders_that_hold_no_recogniser_are_said(checkpoint, tmp_path, capsys):
    assert "missing.wav" in fails(["transcribe", checkpoint, str(tmp_path / "missing.wav")], capsys)
    (tmp_path / "text.wav").write_text("not audio")
    assert "text.wav" in fails(["transcribe", checkpoint, str(tmp_path / "text.wav")], capsys)
    assert "no recogniser" in fails(["transcribe", str(tmp_path), str(tmp_path / "text.wav")], capsys)
    write_audio(tmp_path / "low.wav", np.ones(4_000, np.float32) / 10, 8_000)
    assert "low.wav: is at 8000 Hz" in fails(["transcribe", checkpoint, str(tmp_path / "low.wav")], capsys)
    main(["transcribe", checkpoint, str(tmp_path / "low.wav"), "--resample"])
