"""--dry-run: what would be read, trained and written is said, bad input is refused as ever, and nothing is written."""

import json
import os

import numpy as np
import pytest

from jaxmeta.cli.main import SUBCOMMANDS, main
from jaxmeta.cli.planning.declared import declared_corpus
from jaxmeta.cli.planning.plan import Plan, recordings
from jaxmeta.data.audio import write_audio
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import ManifestError, write_manifest
from jaxmeta.data.manifests.clips import Clip
from jaxmeta.recognition.recogniser import save_recogniser
from tests.cli.test_cli import fails
from tests.recognition.conftest import recogniser, voice_folder  # noqa: F401

WORDS = ["--ways", "2", "--shots", "1", "--queries", "2"]


def spoken(folder, speakers=6, takes=7):
    """Words and sentences of one second by some speakers, as every kind of training takes them."""
    columns = {name: [] for name in ("file_name", "label", "transcription", "speaker")}
    for speaker in range(speakers):
        for word in range(4):
            for take in range(takes):
                name = f"{speaker}_{word}_{take}.wav"
                write_audio(folder / name, 0.1 * np.ones(16_000, np.float32), 16_000)
                for column, cell in zip(columns, (name, f"w{word}", "ab", f"s{speaker}"), strict=True):
                    columns[column].append(cell)
    write_manifest(folder, columns)
    return folder


def files_below(folder):
    return sorted(os.path.join(here, name) for here, folders, names in os.walk(folder) for name in (*folders, *names))


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    return spoken(tmp_path_factory.mktemp("speech") / "speech")


def dry(capsys, *arguments):
    capsys.readouterr()
    main([*map(str, arguments), "--dry-run", "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("kind", "options", "written"),
    [
        ("recogniser", [], "new"),
        pytest.param("assistant", [], "new", marks=pytest.mark.slow),
        pytest.param("words", WORDS, "new/protonet", marks=pytest.mark.slow),
    ],
)
def test_training_is_planned_from_lists_and_headers(kind, options, written, speech, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAXMETA_HOME", str(tmp_path / "home"))
    plan = dry(capsys, "train", kind, speech, "--out", tmp_path / "new", "--updates", 7, *options)
    (read,) = plan["reads"]
    assert (read["files"], read["rows"], read["hours"]) == (168, 168, pytest.approx(168 / 3600))
    assert plan["trains"]["updates"] == 7 and plan["trains"]["weights"] > 1_000
    assert plan["writes"] == str(tmp_path / written) and plan["seconds"] > 0
    assert files_below(tmp_path) == []


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("words", "assistant")]


@pytest.mark.parametrize("kind", ["recogniser", *SLOW])
def test_what_lists_say_wrong_is_refused_as_by_the_command_itself(kind, speech, tmp_path, capsys):
    write_audio(tmp_path / "bad" / "a.wav", np.ones(16_000, np.float32), 16_000)
    write_manifest(tmp_path / "bad", {"file_name": ["a.wav"], "split": ["train"]})
    command = ["train", kind, str(tmp_path / "bad"), "--out", str(tmp_path / "new")]
    assert fails([*command, "--dry-run"], capsys).splitlines()[-1] == fails(command, capsys).splitlines()[-1]
    assert {os.path.basename(path) for path in files_below(tmp_path)} == {"bad", "a.wav", "metadata.csv"}


def test_adaptation_and_export_are_planned(recogniser, voice_folder, tmp_path, capsys):  # noqa: F811
    checkpoint, out = save_recogniser(tmp_path / "recogniser", recogniser), tmp_path / "mine"
    before = files_below(tmp_path)
    plan = dry(capsys, "adapt", checkpoint, voice_folder, "--out", out, "--steps", 3, "--folds", 2)
    assert [each["rows"] for each in plan["reads"]] == [0, 4] and plan["trains"]["updates"] == 9
    plan = dry(capsys, "export", checkpoint, "--to", "safetensors", "--out", out)
    assert plan["trains"] is None and plan["writes"] == str(out)
    main(["adapt", str(checkpoint), str(voice_folder), "--out", str(out), "--dry-run"])
    said = capsys.readouterr().out
    assert "would read" in said and "would train" in said and f"would write {out}\n" in said and "about" in said
    assert files_below(tmp_path) == before
    taken = str(tmp_path / "recogniser")
    assert "exists" in fails(["adapt", str(checkpoint), str(voice_folder), "--out", taken, "--dry-run"], capsys)


def test_every_command_that_makes_something_has_it():
    trains = {name for name in SUBCOMMANDS if name.startswith("train ")}
    made = trains | {"adapt", "enroll", "export", "data import", "data segment"}
    assert {name for name, command in SUBCOMMANDS.items() if "dry_run" in command.__annotations__} == made


def test_a_declared_corpus_is_the_loaded_one_without_features(speech):
    config = FeatureConfig(kind="logmel", n_mels=40, normalize="none")
    declared, loaded = declared_corpus(speech, config), load_corpus(speech, config, workers=1, progress=False)
    assert declared.frames.nbytes == 0 and declared.columns.keys() == loaded.columns.keys()
    assert np.abs(declared.length - loaded.length).max() <= 1
    assert declared.describe() == loaded.describe()


def test_a_file_whose_header_cannot_be_read_is_named_with_its_row(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"nothing")
    write_manifest(tmp_path, {"file_name": ["a.wav"]})
    with pytest.raises((ManifestError, ValueError), match=r"metadata\.csv, row 2: .*a\.wav"):
        declared_corpus(tmp_path, FeatureConfig())


def test_pieces_of_a_recording_count_as_rows_of_one_file(tmp_path):
    write_audio(tmp_path / "a.wav", np.ones(32_000, np.float32), 16_000)
    path = str(tmp_path / "a.wav")
    read = recordings("x", [Clip(path, 0.0, 0.5), Clip(path, 1.5)])
    assert (read.files, read.rows) == (1, 2) and read.hours == pytest.approx(1 / 3600)


def test_times_are_told_in_fitting_units(tmp_path, capsys):
    for seconds, text in ((12, "about 15 s"), (300, "about 5 min"), (9_000, "about 2.5 hours")):
        Plan([], tmp_path, seconds).show("x", as_json=False)
        assert text in capsys.readouterr().out
