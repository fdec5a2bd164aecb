"""What `jaxmeta demo` refuses before it serves a page."""

import pytest

from jaxmeta.cli.demo import command
from tests.cli.test_cli import fails


def test_without_a_recogniser_the_command_says_how_to_get_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: name)
    pytest.importorskip("starlette", reason='needs the extra "demo"')
    pytest.importorskip("uvicorn", reason='needs the extra "demo"')
    for arguments in ([], [str(tmp_path)], [str(tmp_path / "none")]):
        said = fails(["demo", *arguments, "--out", str(tmp_path / "out")], capsys)
        assert "`jaxmeta train recogniser --synthesised --out runs/recogniser`" in said and "public Whisper" in said
    both = ["demo", str(tmp_path), "--assistant", "a", "--user", "b"]
    assert "--assistant and --user: give one of them" in fails(both, capsys)
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    said = fails(["demo", "none"], capsys)
    assert (
        said.strip() == "jaxmeta: the page needs starlette and uvicorn; install the extra: pip install 'jaxmeta[demo]'"
    )
