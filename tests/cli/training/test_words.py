"""`jaxmeta train words`: what it writes, that it resumes, and what it says of bad input."""

import json
import re

import pytest

from jaxmeta.cli.main import main
from jaxmeta.data import word_corpora
from jaxmeta.data.manifest import read_manifest, write_manifest
from jaxmeta.training import runtime
from jaxmeta.words.presets import PRESETS
from tests.cli.test_cli import fails
from tests.words.conftest import tones, tones_folder  # noqa: F401


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A network that compiles quickly, two noises, and a process whose settings stay as they are."""
    preset = PRESETS["quick"]["protonet"]._replace(width=16, batches=((1, 2, 1),), ways=3)
    monkeypatch.setitem(PRESETS["quick"], "protonet", preset)
    noise_features = word_corpora.noise_features
    monkeypatch.setattr(word_corpora, "noise_features", lambda *a, **given: noise_features(*a, **given)[:2])
    monkeypatch.setattr(runtime, "prepare", lambda **given: None)


def command(folder, out, *more):
    return ["train", "words", str(folder), "--out", str(out), "--ways", "3", "--queries", "3", "--episodes", "4",
            "--shots", "1", *more]  # fmt: skip


@pytest.mark.slow
def test_a_table_and_a_run_that_is_resumed(tones_folder, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "run"
    main(command(tones_folder, out, "--updates", "2"))
    shown = capsys.readouterr().out
    written = json.loads((out / "protonet" / "results.json").read_text())
    assert [row["method"] for row in written["rows"]] == ["protonet", "fine-tuned classifier", "cosine of log-mels"]
    assert {"seed", "argv", "commit", "device", "packages", "data", "seconds"} <= set(written["run"])
    assert (out / "protonet" / "results.md").read_text().startswith(shown.strip())
    assert json.loads((out / "protonet" / "run.json").read_text())["recipe"]["updates"] == 2
    states = {path: path.stat().st_mtime_ns for path in out.rglob("checkpoints/**/*")}
    main(command(tones_folder, out, "--updates", "2"))
    assert capsys.readouterr().out == shown
    assert {path: path.stat().st_mtime_ns for path in out.rglob("checkpoints/**/*")} == states
    assert "another config: seed=0 there, 1 here" in fails(
        command(tones_folder, out, "--updates", "2", "--seed", "1"), capsys
    )


def test_bad_input_is_said_before_anything_is_trained(tones_folder, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "run"
    assert "add --synthesised" in fails(["train", "words", "--out", str(out)], capsys)
    assert "--ways must lie between 2 and 100,000, got 1" in fails(command(tones_folder, out, "--ways", "1"), capsys)
    assert "--updates must lie between 1 and" in fails(command(tones_folder, out, "--updates", "0"), capsys)
    assert "no such folder" in fails(command(tmp_path / "none", out), capsys)
    said = fails(command(tones_folder, out, "--ways", "7"), capsys)
    assert re.search(r"test episodes of tones: .* largest feasible is .* Set ways, shots or queries", said)
    columns = read_manifest(tones(tmp_path / "bare", words=2, speakers=1, takes=1)).columns
    write_manifest(tmp_path / "bare", {"file_name": columns["file_name"]})
    assert "corpus 'bare' has no column 'label'" in fails(command(tmp_path / "bare", out), capsys)
    assert not out.exists()


def test_help_of_a_group_lists_its_subcommands(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and "usage: jaxmeta train" in said and "words" in said
