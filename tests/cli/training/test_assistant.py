"""`jaxmeta train assistant`: a folder that `enroll` takes, resumption, and what it says of bad input."""

import json

import numpy as np
import pytest

from jaxmeta.cli.main import main
from jaxmeta.data.manifest import read_manifest, write_manifest
from jaxmeta.training import runtime
from jaxmeta.verification.assistant import load_assistant
from jaxmeta.verification.presets import ASSISTANTS
from tests.cli.test_cli import fails
from tests.verification.conftest import voice_folder  # noqa: F401
from tests.words.conftest import tones, tones_folder  # noqa: F401


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A network that compiles quickly, and a process whose settings stay as they are."""
    monkeypatch.setitem(ASSISTANTS, "quick", ASSISTANTS["quick"]._replace(width=16, ways=3, shots=((1, 2),), clips=8))
    monkeypatch.setattr(runtime, "prepare", lambda **given: None)


@pytest.mark.slow
def test_a_folder_that_enroll_takes_and_a_run_that_is_resumed(tones_folder, voice_folder, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "assistant"
    command = ["train", "assistant", str(tones_folder), "--out", str(out), "--updates", "2"]
    main(command)
    shown = capsys.readouterr().out
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert [(row["corpus"], row["clips"], row["speakers"]) for row in rows] == [("tones", 1, 3), ("tones", 5, 3)]
    assert f"assistant written to {out}" in shown
    assistant = load_assistant(out)
    assert assistant.card.cohort == 3 and assistant.card.unknown == 6 and assistant.card.origin["seed"] == 0
    main(command)
    assert capsys.readouterr().out == shown
    for before, after in zip(assistant[2:], load_assistant(out)[2:], strict=True):
        np.testing.assert_array_equal(before, after)
    main(["enroll", str(voice_folder), "--assistant", str(out), "--out", str(tmp_path / "me")])
    assert "6 recordings of the voice" in capsys.readouterr().out
    assert "another config: seed=0 there, 1 here" in fails([*command, "--seed", "1"], capsys)


def test_bad_input_is_said_before_anything_is_trained(tmp_path, capsys):
    out = tmp_path / "run"
    assert "add --synthesised" in fails(["train", "assistant", "--out", str(out)], capsys)
    columns = read_manifest(tones(tmp_path / "bare", words=2, speakers=1, takes=2, splits=False)).columns
    command = ["train", "assistant", str(tmp_path / "bare"), "--out", str(out)]
    assert "--updates must lie between 1 and 1,000,000,000, got 0" in fails([*command, "--updates", "0"], capsys)
    assert "speaker 's0' is held out and in training" in fails(command, capsys)
    write_manifest(tmp_path / "bare", {name: columns[name] for name in ("file_name", "label")})
    assert "corpus 'bare' has no column 'speaker'" in fails(command, capsys)
    assert not out.exists()
