"""The benchmark of compilation: what its rows say, and that they are there as soon as they are measured; no times."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.compiling import updates
from benchmarks.tables import render
from jaxmeta.training import TrainState, runtime


def tiny(name, seed):
    def update(train, episodes):
        return train._replace(params=train.params + episodes), {}

    start = TrainState(jnp.int32(0), jax.random.key(seed), jnp.zeros(3), {}, ())
    return jax.jit(update), lambda: start, np.float32(1)


def test_parts_make_up_the_whole(monkeypatch):
    monkeypatch.setattr(runtime, "prepare", lambda **folders: None)
    monkeypatch.setattr(updates, "problem", tiny)
    row = updates.measure("words", updates.Config(turns=2), "")
    parts = [row[part] for part in ("initial state", "trace", "lower", "compile")]
    assert min(parts) >= 0 and sum(parts) == pytest.approx(row["in all"])
    assert row["wall"] > 0 and row["update"] >= 0


def test_rows_are_written_as_they_come_and_a_warm_process_has_the_folder_of_the_cold_one(tmp_path, monkeypatch):
    file, folders = tmp_path / "compiling.json", []

    def measured(name, config, folder):
        there = json.loads(file.read_text())["rows"] if file.exists() else []
        assert len(there) == len(folders)
        folders.append(folder)
        return {"trace": 1.0, "in all": 2.0}

    monkeypatch.setattr(updates, "_in_own_process", measured)
    rows = updates.main(updates.Config(file, ("words", "gru")))["rows"]
    assert [(row["workload"], row["cache"]) for row in rows] == [
        ("words", "cold"), ("words", "warm"), ("gru", "cold"), ("gru", "warm"),
    ]  # fmt: skip
    assert folders[0] == folders[1] != folders[2] == folders[3]
    assert render(rows).splitlines()[-1] == "| gru | warm | 1 | 2 |"
