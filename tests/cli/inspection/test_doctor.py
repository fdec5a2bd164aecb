"""`jaxmeta doctor`: every line says what is there, and what to do where something is missing."""

import importlib.metadata
import json

import pytest

from jaxmeta.cli.inspection import doctor
from jaxmeta.cli.main import main

KEYS = ("name", "state", "detail", "remedy")


def rows(capsys):
    return {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}


def test_every_finding_has_a_state_and_those_that_are_not_ok_a_remedy(capsys):
    main(["doctor", "--json"])
    found = rows(capsys)
    assert {"python", "versions", "devices", "cache", "free disk", "microphone"} <= found.keys()
    assert all(
        set(row) == {"version", "command", "name", "state", "detail", "remedy"} and row["detail"]
        for row in found.values()
    )
    assert all(row["remedy"] for row in found.values() if row["state"] != "ok")
    assert found["devices"]["detail"].startswith("1: cpu")
    main(["doctor"])
    assert "jaxmeta 0." in capsys.readouterr().out


def test_a_device_that_is_not_used_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(doctor, "_ACCELERATORS", {str(tmp_path / "nvidia0"): "install it", str(tmp_path / "no"): "x"})
    main(["doctor", "--json"])
    assert rows(capsys)["accelerator"] == {
        "version": 1, "command": "doctor", "name": "accelerator", "state": "note", "remedy": "install it",
        "detail": f"{tmp_path / 'nvidia0'} is there, but JAX uses the CPU",
    }  # fmt: skip


def test_an_extra_that_lacks_a_package_is_told_with_the_command_that_installs_it(monkeypatch, capsys):
    required = ["jax>=0.10", 'no-such-package>=1; extra == "speech"', 'numpy; extra == "speech"',
                'numpy>=2; extra == "arrays"', 'jaxmeta[arrays]; extra == "dev"']  # fmt: skip
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: required)
    main(["doctor", "--json"])
    found = rows(capsys)
    assert found["extra speech"]["detail"] == "lacks no-such-package"
    assert found["extra speech"]["remedy"] == 'pip install "jaxmeta[speech]"'
    assert found["extra arrays"]["state"] == "ok" and "extra dev" not in found


def test_a_cache_that_cannot_be_written_is_wrong(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("JAXMETA_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--json"])
    cache = rows(capsys)["cache"]
    assert stop.value.code == 2 and cache["state"] == "wrong" and "JAXMETA_HOME" in cache["remedy"]


def test_the_size_of_the_cache_counts_every_file(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(70))
    (tmp_path / "c").write_bytes(bytes(7))
    assert doctor._bytes_below(tmp_path) == (77, True)
