"""The benchmark of compilation: what its rows say, and that they are there as soon as they are measured; no times."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.compiling import updates
from benchmarks.tables import render
from jaxmeta.training import TrainState, runtime
from jaxmeta.training.on_device import SMALL


def tiny(name, seed):
    """An update of more weights than those of a small network, which would not be compiled ahead."""

    def update(train, episodes):
        return train._replace(params=train.params + episodes), {}

    start = TrainState(jnp.int32(0), jax.random.key(seed), jnp.zeros(SMALL + 1), {}, ())
    return jax.jit(update), lambda: start, np.float32(1)


@pytest.mark.parametrize("way", ["in turn", "at once"])
def test_parts_have_times_of_their_own_only_where_they_follow_each_other(monkeypatch, way):
    monkeypatch.setattr(runtime, "prepare", lambda **folders: None)
    monkeypatch.setattr(updates, "problem", tiny)
    row = updates.measure("words", updates.Config(turns=2), way, "")
    parts = [row[part] for part in ("initial state", "trace", "lower", "compile")]
    assert row["in all"] > 0 and row["wall"] > 0 and row["update"] > 0
    if way == "in turn":
        assert 0 < sum(parts) <= row["in all"]
    else:
        assert parts == [None] * 4


def test_rows_are_written_as_they_come_and_a_warm_process_has_the_folder_of_the_cold_one(tmp_path, monkeypatch):
    file, folders = tmp_path / "compiling.json", []

    def measured(name, config, way, folder):
        there = json.loads(file.read_text())["rows"] if file.exists() else []
        assert len(there) == len(folders)
        folders.append(folder)
        return {"trace": None if way == "at once" else 1.0, "in all": 2.0}

    monkeypatch.setattr(updates, "_in_own_process", measured)
    rows = updates.main(updates.Config(file, ("words",)))["rows"]
    ways = [(row["way"], row["cache"]) for row in rows]
    assert ways == [("in turn", "cold"), ("in turn", "warm"), ("at once", "cold"), ("at once", "warm")]
    assert folders[0] == folders[1] != folders[2] == folders[3]
    assert render(rows).splitlines()[-1] == "| words | at once | warm |  | 2 |"
