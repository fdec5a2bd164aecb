"""Commands that write onto disks of five sizes: the whole result, or one line, status 74 and nothing left."""

import collections
import os
import subprocess

import pytest

from jaxmeta.cli.main import main
from jaxmeta.recognition.recogniser import load_recogniser, save_recogniser
from jaxmeta.verification.assistant import save_assistant
from jaxmeta.verification.user import load_user
from tests.recognition.conftest import recogniser, write_voice  # noqa: F401
from tests.verification.conftest import assistant, voice_folder  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")]
SIZES = [8, 16, 32, 128, 4_096]
"""In kilobytes: from what holds nothing to what holds everything."""


@pytest.fixture(params=SIZES)
def disk(request, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", folder], check=False)
    if done.returncode:
        pytest.skip("this machine mounts no disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


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
