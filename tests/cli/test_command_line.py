"""docs/command-line.md: completion in real shells, one form of JSON, and no command without it."""

import contextlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jaxmeta.cli.main import SUBCOMMANDS, main
from jaxmeta.cli.output import aside, show

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
ROWS = re.findall(r"^\| (`[^|]*`) \| [^|]* \| ([^|]*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def completions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell, name in (("bash", "jaxmeta"), ("zsh", "_jaxmeta")):
        with contextlib.suppress(SystemExit):
            main(["--tyro-write-completion", shell, str(folder / name)])
    return folder


BASH = """
source ./jaxmeta
complete -p jaxmeta >/dev/null
for line in "ad" "train wo" "train words --epi" "data import --dr" "transcribe --format v"; do
    COMP_WORDS=(jaxmeta $line); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
    _tyro_jaxmeta; echo "${COMPREPLY[@]}"
done
COMP_WORDS=(jaxmeta train words --); COMP_CWORD=3; COMPREPLY=(); _tyro_jaxmeta; printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.slow
def test_bash_completes_commands_options_and_choices(completions):
    said = subprocess.run(["bash", "-c", BASH], cwd=completions, capture_output=True, text=True, check=True).stdout
    lines = said.splitlines()
    assert lines[:5] == ["adapt", "words", "--episodes", "--dry-run", "vtt"]
    assert len(lines) > 20 and all(re.fullmatch("--[a-z-]+", line) for line in lines[5:])


ZSH = """
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=""; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w z 'echo be""gun'; zpty -r -m z out '*begun*'
zpty -n -w z $'jaxmeta train words --epi\\t'; zpty -r -m z out '*--episodes*'
zpty -n -w z $'\\x15'
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_completes_an_option(completions):
    subprocess.run(["zsh", "-f", "-c", ZSH], cwd=completions, timeout=60, check=True)


def test_every_command_writes_json_and_the_page_says_what():
    commands = SUBCOMMANDS.keys() - {"demo"}  # which serves a page
    assert {SUBCOMMANDS[name].__annotations__.get("json") for name in commands} <= {bool, "bool"}
    told = {name for _, commands in ROWS for name in re.findall(r"`([a-z ]+)`", commands)}
    groups = {name.split()[0] for name in SUBCOMMANDS}
    assert {name for name in commands if name not in told and name.split()[0] not in told & groups} == set()


def test_a_line_has_version_and_command_first_and_is_finite(capsys):
    show("x", {"word": "é"}, "text", as_json=True)
    assert capsys.readouterr().out == '{"version": 1, "command": "x", "word": "é"}\n'
    show("x", {"number": 1.5}, "text", as_json=False)
    assert capsys.readouterr().out == "text\n"
    with pytest.raises(ValueError, match="JSON"):
        show("x", {"number": float("nan")}, "text", as_json=True)


def test_other_words_go_to_standard_error_beside_json(capsys):
    for as_json in (True, False):
        with aside(as_json):
            print("a table")
        said = capsys.readouterr()
        assert (said.err if as_json else said.out) == "a table\n"


def test_keys_of_plans_are_those_of_the_page(tmp_path, capsys):
    from jaxmeta.cli.planning.plan import Plan

    Plan([], tmp_path, 1.0).show("adapt", as_json=True)
    keys = set(json.loads(capsys.readouterr().out)) - {"version", "command"}
    assert any(keys == set(re.findall(r"`(\w+)`", cell)) for cell, _ in ROWS)
