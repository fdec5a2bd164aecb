"""`jaxmeta data import`: what it prints and writes, and that it writes all or nothing."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from jaxmeta.cli.main import main
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.manifests import importing


@pytest.fixture
def kaldi(tmp_path):
    """A folder of Kaldi with two recordings, a pipe, and a segment beyond the end."""
    folder = tmp_path / "kaldi"
    folder.mkdir()
    for name in ("a", "b"):
        soundfile.write(folder / f"{name}.wav", 0.1 * np.random.default_rng(0).normal(size=16_000), 16_000)
    (folder / "wav.scp").write_text("a a.wav\nb b.wav\nc touch ran |\n")
    (folder / "segments").write_text("u1 a 0 0.5\nu2 a 0.5 1.0\nu3 b 0.5 9\n")
    (folder / "text").write_text("u1 one\nu2 two\nu3 three\n")
    (folder / "utt2spk").write_text("u1 s\nu2 s\nu3 s\n")
    return folder


def run(capsys, *arguments, code=0):
    try:
        main(["data", "import", *map(str, arguments)])
        assert code == 0
    except SystemExit as stop:
        assert stop.code == code
    return capsys.readouterr()


def test_rows_are_accounted_for(kaldi, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    said = run(capsys, kaldi, "--out", out)
    assert said.out.splitlines() == [
        "kaldi: 4 rows read = 2 used + 2 rejected", f"written to {out}",
        f"the recordings stay where they are: give commands --root {kaldi}",
    ]  # fmt: skip
    assert [line.split(": ")[0] for line in said.err.splitlines()] == [
        f"{kaldi / 'wav.scp'}, row 3", f"{kaldi / 'segments'}, row 3"]  # fmt: skip
    read = read_manifest(out, [kaldi])
    assert read.columns["transcription"].tolist() == ["one", "two"] and read.columns["speaker"].tolist() == ["s", "s"]
    assert [clip[1:] for clip in read.clips()] == [(0.0, 0.5), (0.5, 0.5)]
    with (out / "rejected.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert sorted(os.listdir(out)) == ["metadata.csv", "rejected.csv"] and not (kaldi / "ran").exists()


def test_a_dry_run_says_the_same_and_writes_nothing(kaldi, tmp_path, capsys):
    said = run(capsys, kaldi, "--out", tmp_path / "new", "--dry-run", "--json", "--shown", 0)
    row = json.loads(said.out)
    assert row.pop("hours") > 0
    assert row == {
        "version": 1, "command": "data import", "dry_run": True, "out": None, "from": "kaldi", "read": 4, "used": 2,
        "rejected": 2, "roots": [str(kaldi)],
    }  # fmt: skip
    assert not said.err and os.listdir(tmp_path) == ["kaldi"]


def test_copies_need_no_root(kaldi, tmp_path, capsys):
    said = run(capsys, kaldi, "--out", tmp_path / "new", "--copy", "--from", "kaldi")
    assert "--root" not in said.out and len(read_manifest(tmp_path / "new").paths()) == 2


@pytest.mark.parametrize("lines", ["c touch ran |\n", "a gone.wav\n", ""])
def test_a_list_without_a_row_that_can_be_used_is_refused(kaldi, tmp_path, capsys, lines):
    (kaldi / "segments").unlink()
    (kaldi / "wav.scp").write_text(lines)
    (kaldi / "text").unlink()
    said = run(capsys, kaldi, "--out", tmp_path / "new", code=2).err
    assert str(kaldi) in said and len(said.splitlines()) == 1 and os.listdir(tmp_path) == ["kaldi"]


def test_a_format_that_is_not_clear_lists_the_formats(tmp_path, capsys):
    (tmp_path / "list.xyz").write_text("?")
    said = run(capsys, tmp_path / "list.xyz", "--out", tmp_path / "new", code=2).err
    assert "--from: nemo, lhotse, kaldi" in said


def test_a_folder_that_exists_is_left_alone(kaldi, tmp_path, capsys):
    said = run(capsys, kaldi, "--out", kaldi, code=2).err
    assert "exists; name a new folder" in said and len(os.listdir(kaldi)) == 6


def test_writing_that_fails_leaves_nothing(kaldi, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importing, "copy_clip", full)
    said = run(capsys, kaldi, "--out", tmp_path / "new", "--copy", code=74).err
    assert f"--out {tmp_path / 'new'}: cannot be written (No space left on device)" in said
    assert os.listdir(tmp_path) == ["kaldi"]


@pytest.mark.slow
def test_an_import_that_is_stopped_leaves_nothing(kaldi, tmp_path):
    ready = tmp_path / "ready"
    script = (
        "import time\nfrom pathlib import Path\nfrom jaxmeta.data.manifests import importing\n"
        "from jaxmeta.cli.main import main\n"
        f"def wait(*_):\n    Path({str(ready)!r}).touch()\n    time.sleep(60)\nimporting.copy_clip = wait\n"
        f"main(['data', 'import', {str(kaldi)!r}, '--out', {str(tmp_path / 'new')!r}, '--copy'])\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as process:
        while not ready.exists() and process.poll() is None:
            time.sleep(0.05)
        assert [name[:5] for name in sorted(os.listdir(tmp_path)) if name not in ("kaldi", "ready")] == [".new."]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert sorted(os.listdir(tmp_path)) == ["kaldi", "ready"]
