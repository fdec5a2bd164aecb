"""The benchmark of the way to a first update: what a stack counts as, and what its rows say; no times."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.startup import commands, watched
from jaxmeta.training import TrainState
from jaxmeta.training.loop import train_loop


@pytest.mark.parametrize(
    ("files", "stage"),
    [
        (["jaxmeta/cli/main.py", "jaxmeta/data/features.py"], "data"),
        (["jaxmeta/data/features.py", "<frozen importlib._bootstrap>", "scipy/sparse/__init__.py"], "imports"),
        (["jax/_src/interpreters/partial_eval.py", "jaxmeta/data/augmentation/transforms.py"], "trace"),
        (["jaxmeta/training/loop.py", "jax/_src/interpreters/mlir.py"], "lower"),
        (["jaxmeta/training/loop.py", "jax/_src/compiler.py", "jax/_src/compilation_cache.py"], "compile"),
        (["jaxmeta/training/loop.py", "jaxmeta/training/checkpoint.py"], "checkpoint"),
        (["jaxmeta/training/loop.py", "json/encoder.py"], "rest"),
    ],
)
def test_a_stack_counts_as_what_it_waits_for(files, stage):
    assert watched.stage({f"/home/somebody/{file}" for file in files}) == stage


@pytest.mark.slow
def test_the_first_update_comes_after_its_program_and_before_the_rest(tmp_path):
    watch = watched.Watch()
    while not watch.listens:
        pass
    watch.stop()
    before = watch.said()

    def update(train, episodes):
        return train._replace(step=train.step + 1, params=train.params + episodes), {"loss": jnp.sum(train.params)}

    start = TrainState(jnp.int32(0), jax.random.key(0), jnp.zeros(3), {}, ())
    train_loop(update, start, lambda index: jnp.float32(index), 2, tmp_path, at_once=1)
    first, end = watch.first_update, watch.said()
    assert first["trace"][0] + first["compile"][0] + first["rest"][0] > sum(before[name][0] for name in before)
    assert all(first[name][clock] <= end[name][clock] for name in end for clock in (0, 1))
    assert first["checkpoint"] == before["checkpoint"]


def test_rows_are_medians_and_a_warm_command_has_the_cache_of_the_cold_one(tmp_path, monkeypatch):
    ran = []

    def run(arguments, home, file):
        ran.append((arguments[0], home))
        stages = {name: [1.0 * len(ran), 2.0] for name in (*watched.STAGES, "rest")}
        return {"python": [0.5, 0.5], "first update": None, "end": stages}, [10.0 * len(ran), 99.0]

    monkeypatch.setattr(commands, "run", run)
    results = commands.main(commands.Config(tmp_path / "rows.json", commands=("help",), turns=3))
    assert [name for name, _ in ran] == ["--help"] * 6
    assert [home for _, home in ran[::2]] == [home for _, home in ran[1::2]] and len({home for _, home in ran}) == 3
    cold, warm = results["rows"]
    assert (cold["cache"], cold["until"], cold["turns"], cold["trace"]) == ("cold", "end", 3, 3.0)
    assert (warm["trace"], warm["in all"], warm["wall"]) == (4.0, 40.0, 99.0)
    parts = ("python", *watched.STAGES, "rest")
    assert sum(warm[name] for name in parts) == pytest.approx(warm["in all"])


def test_a_command_that_needs_a_recogniser_says_so(tmp_path):
    with pytest.raises(ValueError, match="adapt needs 'train recogniser' before it"):
        commands.main(commands.Config(commands=("adapt",)))
