"""`jaxmeta transcribe` and `jaxmeta adapt` with a small random Whisper."""

import json
import shutil

import numpy as np
import pytest

from jaxmeta.cli.main import main
from jaxmeta.data.audio import write_audio
from jaxmeta.recognition.recogniser import save_recogniser
from tests.cli.test_cli import fails
from tests.recognition.conftest import recogniser  # noqa: F401
from tests.recognition.pretrained.conftest import greetings, whisper_folder  # noqa: F401


@pytest.fixture
def sound(tmp_path):
    write_audio(tmp_path / "sound.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 8_000), 16_000)
    return str(tmp_path / "sound.wav")


def test_options_that_do_not_apply_are_refused(whisper_folder, recogniser, sound, tmp_path, capsys):  # noqa: F811
    whisper, ours = str(whisper_folder), str(save_recogniser(tmp_path / "ours", recogniser))
    assert "--lm cannot be used with" in fails(["transcribe", whisper, sound, "--lm", "words.arpa"], capsys)
    assert "--base cannot be used with" in fails(["transcribe", whisper, sound, "--base", whisper], capsys)
    assert "--language cannot be used with" in fails(["transcribe", ours, sound, "--language", "de"], capsys)
    assert "--bits cannot be used with" in fails(["transcribe", ours, sound, "--bits", "8"], capsys)
    assert "--words cannot be used with" in fails(["transcribe", ours, sound, "--words", "names.txt"], capsys)
    assert "--words, which is missing" in fails(["transcribe", whisper, sound, "--words-bonus", "3"], capsys)
    assert "--prompt cannot be used with" in fails(["transcribe", ours, sound, "--prompt", "hello"], capsys)
    assert "the text before is empty" in fails(["transcribe", whisper, sound, "--prompt", ""], capsys)
    assert "--base" in fails(["transcribe", ours, sound, "--base", whisper], capsys)
    said = fails(["adapt", ours, str(tmp_path), "--out", str(tmp_path / "out"), "--rank", "2"], capsys)
    assert "--rank cannot be used with" in said and not (tmp_path / "out").exists()


def test_a_language_that_the_whisper_does_not_know_is_refused(whisper_folder, sound, capsys):  # noqa: F811
    assert "no token '<|fr|>'" in fails(["transcribe", str(whisper_folder), sound, "--language", "fr"], capsys)


def test_without_the_extra_the_command_says_what_to_install(sound, tmp_path, monkeypatch, capsys):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr("jaxmeta.cli.pretrained.whisper.find_spec", lambda name: None)
    said = fails(["transcribe", str(tmp_path), sound], capsys)
    assert "needs safetensors and tokenizers; install the extra: pip install 'jaxmeta[pretrained]'" in said


@pytest.mark.slow
def test_whisper_transcribes_files_and_names_those_that_it_cannot_read(whisper_folder, sound, tmp_path, capsys):  # noqa: F811
    long = str(tmp_path / "long.wav")
    write_audio(long, np.random.default_rng(1).uniform(-0.5, 0.5, 12 * 16_000), 16_000)
    (tmp_path / "bad.wav").write_text("no audio")
    talking = shutil.copytree(whisper_folder, tmp_path / "talking")
    others = {"suppress_tokens": [token for token in range(31) if token != 1]}
    (talking / "generation_config.json").write_text(json.dumps(others))
    with pytest.raises(SystemExit) as stop:
        main(["transcribe", str(talking), long, str(tmp_path / "bad.wav"), sound, "--json"])
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [(row["file"], row["seconds"]) for row in rows] == [(long, 12.0), (sound, 0.5)]
    assert stop.value.code == 3 and "bad.wav" in said.err and "1 of 3 files could not be read" in said.err
    assert all(set(row["text"].split()) == {"hello"} for row in rows)
    main(["transcribe", str(talking), sound, "--bits", "8"])
    assert capsys.readouterr().out == f"{sound}\t{rows[1]['text']}\n"
    others = {"suppress_tokens": [token for token in range(30) if token != 1]}
    (talking / "generation_config.json").write_text(json.dumps(others))
    (tmp_path / "names.txt").write_text("world\n")
    main(["transcribe", str(talking), sound, "--words", str(tmp_path / "names.txt"), "--words-bonus", "100"])
    assert "world" in capsys.readouterr().out
    main(["transcribe", str(talking), sound, "--prompt", "hello world"])
    assert capsys.readouterr().out.startswith(f"{sound}\t")
    # In stretches of at most the five seconds that this network sees.
    times = [(part["start"], part["end"]) for part in rows[0]["segments"]]
    assert all(end - start <= 5 for start, end in times) and times[0][0] == 0 and times[-1][1] == 12


@pytest.mark.slow
def test_adapt_writes_a_folder_that_transcribes(whisper_folder, greetings, tmp_path, capsys):  # noqa: F811
    out, files = tmp_path / "mine", [str(greetings / "audio" / f"{row}.wav") for row in range(2)]
    arguments = ["--folds", "2", "--steps", "200", "--rate", "0.03", "--always", "--json"]
    main(["adapt", str(whisper_folder), str(greetings), "--out", str(out), *arguments])
    result = json.loads(capsys.readouterr().out)
    assert result["recordings"] == 6 and result["adapted"] and result["out"] == str(out)
    main(["transcribe", str(out), *files])
    assert capsys.readouterr().out.splitlines() == [f"{file}\thello world" for file in files]
    again = ["adapt", str(out), str(greetings), "--out", str(tmp_path / "again")]
    assert "holds adapters of a voice already" in fails(again, capsys)
