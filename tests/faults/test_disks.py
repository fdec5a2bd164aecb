"""Commands that write onto disks of five sizes: the whole result, or one line, status 74 and nothing left."""

import collections
import contextlib
import json
import os
import subprocess
import sys

import pytest

from jaxmeta.cli.main import main
from jaxmeta.recognition.recogniser import load_recogniser, save_recogniser
from jaxmeta.verification.assistant import save_assistant
from jaxmeta.verification.user import load_user
from tests.cli.training.test_words import command as words_command
from tests.recognition.conftest import recogniser, write_voice  # noqa: F401
from tests.verification.conftest import assistant, voice_folder  # noqa: F401
from tests.words.conftest import tones_folder  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")]
SIZES = [8, 16, 32, 128, 4_096]
"""In kilobytes: from what holds nothing to what holds everything."""


@contextlib.contextmanager
def mounted(folder, size):
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder], check=False)
    if done.returncode:
        pytest.skip("this machine mounts no disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(params=SIZES)
def disk(request, tmp_path):
    with mounted(tmp_path / "disk", request.param) as folder:
        yield folder


COUNTS: collections.Counter[str] = collections.Counter()


def test_a_full_disk_leaves_nothing_or_everything(disk, recogniser, assistant, voice_folder, tmp_path, capsys):  # noqa: F811
    network, known = save_recogniser(tmp_path / "recogniser", recogniser), save_assistant(tmp_path / "known", assistant)
    spoken, out = write_voice(tmp_path / "spoken"), disk / "out"
    commands = [
        (["adapt", network, spoken, "--steps", "1", "--folds", "2", "--always"], load_recogniser),
        (["export", network, "--to", "safetensors"], lambda path: path.read_bytes()),
        (["enroll", voice_folder, "--assistant", known], load_user),
    ]
    for arguments, read in commands:
        try:
            main([*map(str, arguments), "--out", str(out)])
        except SystemExit as stop:
            said = capsys.readouterr().err.splitlines()[-1]
            assert stop.code == 74 and said.startswith("jaxmeta: ") and str(out) in said
            assert not list(disk.iterdir())
            COUNTS["detected"] += 1
        else:
            read(out)
            subprocess.run(["rm", "-r", out], check=True)
            COUNTS["whole"] += 1
    tries = COUNTS.total()
    if tries == len(SIZES) * len(commands):
        print(f"\ndisks of commands: {tries} tries, {COUNTS['detected']} detected, {COUNTS['whole']} whole, 0 lost")
        assert min(COUNTS.values()) > 2


TRAINING = """
import sys
from jaxmeta.words.presets import PRESETS
small = PRESETS["quick"]["protonet"]._replace(width=16, batches=((1, 2, 1),), ways=3)
PRESETS["quick"]["protonet"] = small
from jaxmeta.cli.__main__ import start
start()
"""
"""A command with a network that compiles quickly; in a process of its own, as orbax leaves threads behind."""


def trained(folder, out):
    arguments = words_command(folder, out, "--updates", "2")
    return subprocess.run([sys.executable, "-c", TRAINING, *arguments], capture_output=True, text=True, check=False)


def accuracies(out):
    return [row["accuracy"] for row in json.loads((out / "protonet" / "results.json").read_text())["rows"]]


def test_training_on_a_full_disk_goes_on_where_it_was_once_the_disk_has_room(tones_folder, tmp_path):  # noqa: F811
    assert trained(tones_folder, tmp_path / "whole").returncode == 0
    full = 0
    with mounted(tmp_path / "disk", SIZES[0]) as folder:
        for size in [*SIZES, 65_536]:
            subprocess.run(["mount", "-o", f"remount,size={size}k", folder], check=True)
            done = trained(tones_folder, folder / "out")
            if not done.returncode:
                break
            said = done.stderr.splitlines()[-1]
            assert done.returncode == 74 and said.startswith("jaxmeta: ") and str(folder / "out") in said
            assert "Traceback" not in done.stderr
            full += 1
        assert full >= 2 and accuracies(folder / "out") == accuracies(tmp_path / "whole")
    print(f"\ndisks of training: {full + 1} tries, {full} detected, 1 whole, 0 lost")
