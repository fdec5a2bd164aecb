"""Numbers of the command line: what is out of range is refused by the option's name before any work."""

import dataclasses
import inspect
import math
import typing
from pathlib import Path
from typing import Annotated

import pytest

from jaxmeta.cli.main import SUBCOMMANDS, main
from jaxmeta.cli.ranges import Within, _bounds, admitted


def numbers(holder):
    """What has options, a command or a group of options within it, and the name of one that is a number."""
    for name, hint in typing.get_type_hints(holder).items():
        if dataclasses.is_dataclass(hint):
            yield from numbers(hint)
        elif {int, float} & {hint, *typing.get_args(hint)}:
            yield holder, name


NUMBERS = [(command, *each) for command, function in SUBCOMMANDS.items() for each in numbers(function)]
REQUIRED = {
    "transcribe": ["none", "none.wav"],
    "adapt": ["none", "none", "--out", "out"],
    "export": ["none", "--to", "onnx", "--out", "out"],
    "enroll": ["none", "--out", "out"],
    "verify": ["none", "none.wav"],
    "spot": ["none", "none.wav"],
    "data check": ["none"],
    "data import": ["none", "--out", "out"],
    "data segment": ["none.wav", "--out", "out"],
    "listen": ["none", "--wav", "none.wav"],
    "demo": ["none"],
    "train wakeword": ["--positive", "none", "--embedding", "none", "--out", "out"],
} | {f"train {kind}": ["none", "--out", "out"] for kind in ("words", "recogniser", "assistant")}


def bounds(holder, name):
    return _bounds(typing.get_type_hints(holder, include_extras=True)[name])[0]


@pytest.mark.parametrize(("command", "holder", "name"), NUMBERS)
def test_numbers_out_of_range_are_refused_by_name(command, holder, name):
    within, flag = bounds(holder, name), f"--{name.replace('_', '-')}"
    wrong = [math.nan, math.inf, -math.inf, within.least - 1, within.most + 1, -(10**30), 10**30]
    wrong += within.excluded
    many = typing.get_origin(typing.get_type_hints(holder)[name]) is tuple
    for number in wrong:
        with pytest.raises(ValueError, match=f"^{flag} must lie between .*, got {number}".replace("+", r"\+")):
            admitted(holder, {name: (2, number) if many else number})


@pytest.mark.parametrize("command", dict.fromkeys(command for command, *_ in NUMBERS))
def test_a_command_ends_before_any_work(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = next(name for each, _, name in NUMBERS if each == command)
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), *REQUIRED[command], f"--{name.replace('_', '-')}={-(10**30)}"])
    said = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and len(said) == 1 and said[0].startswith(f"jaxmeta: --{name.replace('_', '-')} must")
    assert not list(tmp_path.iterdir())


def test_defaults_lie_in_their_ranges():
    for _, holder, name in NUMBERS:
        default = inspect.signature(holder).parameters[name].default
        for number in default if isinstance(default, tuple) else (default,):
            assert number is None or number in bounds(holder, name)


def number_and_paths(rate: Annotated[float, Within(0, 1)] = 0.5, out: Path = Path("a"), more: tuple[Path, ...] = ()):
    """Something like a command."""


def test_minus_zero_is_zero():
    assert admitted(number_and_paths, {"rate": -0.0}) == {"rate": 0.0}


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    given = {"out": Path("~/mine"), "more": (Path("~"), tmp_path / "~", Path("a/~"))}
    expected = {"out": tmp_path / "mine", "more": (tmp_path, tmp_path / "~", Path("a/~"))}
    assert admitted(number_and_paths, given) == expected
    with pytest.raises(ValueError, match=r"^--out ~nobody-of-that-name/x: there is no such home folder"):
        admitted(number_and_paths, {"out": Path("~nobody-of-that-name/x")})
