"""No command opens a connection: every subcommand that reads recordings, under an audit hook."""

import contextlib
import socket
import sys

import pytest

from jaxmeta.cli.main import SUBCOMMANDS, main
from jaxmeta.recognition.recogniser import save_recogniser
from jaxmeta.verification.assistant import save_assistant
from tests.recognition.conftest import recogniser, write_voice  # noqa: F401
from tests.verification.conftest import assistant, voice_folder  # noqa: F401

pytestmark = pytest.mark.slow
EVENTS = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "urllib.Request")
opened: list[tuple] = []
sys.addaudithook(lambda event, args: opened.append((event, args)) if event in EVENTS else None)


def test_commands_open_no_connection(recogniser, assistant, voice_folder, tmp_path, capsys):  # noqa: F811
    network, spoken = save_recogniser(tmp_path / "recogniser", recogniser), write_voice(tmp_path / "spoken")
    known, wave = save_assistant(tmp_path / "assistant", assistant), str(next(voice_folder.rglob("*.wav")))
    transcribed = str(next(spoken.rglob("*.wav")))
    commands = {
        "transcribe": [network, transcribed],
        "adapt": [network, spoken, "--out", tmp_path / "mine", "--steps", "1", "--folds", "2"],
        "export": [network, "--to", "safetensors", "--out", tmp_path / "weights"],
        "enroll": [voice_folder, "--assistant", known, "--out", tmp_path / "me"],
        "verify": [tmp_path / "me", wave],
        "spot": [tmp_path / "me", wave],
        "report": [tmp_path / "mine"],
        "doctor": [],
        "data import": [spoken, "--from", "audiofolder", "--out", tmp_path / "list"],
        "data segment": [transcribed, "--out", tmp_path / "cut"],
        "data check": [spoken],
    }
    # Those that train may share the work with other machines, a wake word may be served to one, and a page to this one.
    assert {name for name in SUBCOMMANDS if not name.startswith("train ")} - {"listen", "demo"} == commands.keys()
    opened.clear()
    for name, arguments in commands.items():
        with contextlib.suppress(SystemExit):  # A check that finds something.
            main([*name.split(), *map(str, arguments)])
        assert capsys.readouterr().out and not opened
    print(f"\nconnections of commands: {len(commands)} tries, 0 detected, {len(commands)} whole, 0 lost")


def test_a_test_that_connects_fails():
    with socket.socket() as client, pytest.raises(AssertionError, match="tests need no network"):
        client.connect(("192.0.2.1", 9))
