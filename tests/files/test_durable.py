import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.files.durable import lock, plain, write_json, write_text


def test_failed_write_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "NaN"),
        (np.float64("-inf"), "-Infinity"),
        (jnp.float32("inf"), "Infinity"),
        (jnp.bfloat16(1.5), 1.5),
        (np.int64(2**60 + 1), 2**60 + 1),
        (np.bool_(True), True),
        ({1: (2, None)}, {"1": [2, None]}),
        ({"b", "a"}, ["a", "b"]),
        (Path("x/y"), "x/y"),
        (np.array([[1.0, np.nan]]), [[1.0, "NaN"]]),
        (np.array(["word"]), ["word"]),
    ],
)
def test_plain_is_what_strict_json_reads_back(tmp_path, value, expected):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    write_json(tmp_path / "a.json", value)
    assert plain(value) == expected
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse) == expected


def test_folder_is_held_by_one_at_a_time(tmp_path):
    with lock(tmp_path), pytest.raises(ValueError, match=f"{tmp_path} is in use"), lock(tmp_path):
        pass
    with lock(tmp_path):
        pass
