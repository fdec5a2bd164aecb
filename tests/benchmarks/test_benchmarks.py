"""The benchmarks: their arithmetic, their problems and their refusals; no times."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks import data, memory, meta_gradient, scaling
from benchmarks.shared import clips, console, problems, timing
from benchmarks.shared.linearity import Departure, departure, describe
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.sequence_losses import ctc, ctc_feasible

ROOT = Path(__file__).parents[2]


def test_time_in_proportion_departs_by_nothing():
    # 3 s to start and 2 s a task: every slope is 2.
    assert departure([1, 2, 4, 8], [5, 7, 11, 19]) == Departure(1, 0.0, 3)


def test_a_machine_counts_as_full_where_more_begins_to_cost():
    # Free up to 4 tasks, then 1 s a task, but 1.25 s a task from 8 to 16.
    actual = departure([1, 2, 4, 8, 16, 32], [1, 1, 1, 5, 15, 31])
    assert actual == Departure(4, 0.25, 3)
    assert describe(actual, "tasks") == (
        "From 4 tasks on, the time of one more is within 25.0% of what it is at the last point (3 slopes)."
    )


def test_a_machine_that_is_not_full_at_the_last_point_has_no_departure():
    assert departure([1, 2, 4], [1, 2, 2]) == Departure(None, None, 0)
    assert "not full" in describe(Departure(None, None, 0), "tasks")


@pytest.mark.parametrize(("units", "seconds"), [([1], [1.0]), ([1, 2], [1.0])])
def test_a_departure_needs_two_points(units, seconds):
    with pytest.raises(ValueError, match="two points or more"):
        departure(units, seconds)


def test_what_is_timed_takes_turns():
    called, shown = [], []
    runs = {name: lambda name=name: called.append(name) for name in "ab"}
    seconds = timing.in_turns(runs, 3, shown.append)
    assert called == list("ababab") and [len(taken) for taken in seconds.values()] == [3, 3]
    assert shown[-1] == "timing, turn 3 of 3"
    with pytest.raises(ValueError, match="turns must be 1 or more"):
        timing.in_turns(runs, 0, shown.append)


def test_what_is_built_is_timed_once_before_anything_is_timed_again():
    called, noted = [], []
    builds = {name: lambda name=name: called.append(f"build {name}") or (lambda: called.append(name)) for name in "ab"}
    seconds = timing.built_in_turns(builds, 2, lambda what: None, lambda taken: noted.append(list(taken)))
    assert called == ["build a", "a", "build b", "b", "a", "b"] and noted == [["a"], ["a", "b"], ["a", "b"]]
    assert [len(taken) for taken in seconds.values()] == [2, 2]


def test_rates_are_units_over_the_median_and_the_extremes():
    assert timing.rates([4.0, 1.0, 2.0], 8) == {"rate": 4.0, "lowest": 2.0, "highest": 8.0}


def test_blocks_to_compute_again_are_near_the_square_root_of_the_steps():
    assert [memory.square_root(steps) for steps in (1, 2, 4, 8, 16, 32)] == [1, 1, 2, 3, 4, 6]
    assert memory.last_slope((1, 8, 16), (0.0, 3.0, 7.0)) == 0.5


@pytest.mark.parametrize("steps", [(4,), (4, 2), (0, 1), (2, 2)])
def test_memory_needs_numbers_of_steps_that_rise(steps):
    with pytest.raises(ValueError, match="steps must be two numbers or more"):
        memory.main(memory.Config(steps=steps))


def test_a_sweep_changes_one_thing_at_a_time():
    config = scaling.Config()
    for sweep in ("tasks", "steps", "width"):
        actual = scaling.points(sweep, config)
        assert tuple(getattr(point, sweep) for point in actual) == getattr(config, sweep)
        assert all({**vars(point), sweep: 0} == {**vars(config.base), sweep: 0} for point in actual)


def test_devices_that_do_not_divide_the_tasks_are_refused():
    with pytest.raises(ValueError, match="sharded_tasks=8 must be a multiple of devices=3"):
        scaling.points("devices", scaling.Config(devices=(1, 3)))
    with pytest.raises(ValueError, match="steps must be numbers from 1 that rise"):
        scaling.points("steps", scaling.Config(steps=(2, 1)))


def test_words_have_the_shapes_that_the_tables_name():
    episodes = problems.word_episodes(2)
    assert episodes.support.inputs.values.shape == (2, 5, 80, 40)
    assert episodes.query.inputs.values.shape == (2, 25, 80, 40)
    lengths = np.asarray(episodes.query.inputs.lengths)
    assert lengths.min() >= 40 and lengths.max() <= 80
    assert np.array_equal(np.bincount(episodes.query.targets[0]), [5] * 5)


def test_every_transcription_fits_the_frames_that_the_network_leaves():
    task = jax.tree.map(lambda leaf: leaf[0], problems.transcription_episodes(1))
    assert task.support.inputs.values.shape == task.query.inputs.values.shape == (4, 200, 40)
    model = problems.transcriber(width=4)
    params, state = jax.eval_shape(model.init, jax.random.key(0), task.support.inputs)

    def run(params, state, inputs):
        return model.apply(params, state, inputs, jax.random.key(0), True)[0]

    outputs = jax.eval_shape(run, params, state, task.support.inputs)
    assert outputs.values.shape == (4, 100, problems.CLASSES)
    assert jax.eval_shape(ctc, outputs, task.support.targets).shape == (4,)
    for batch in task:
        assert ctc_feasible((batch.inputs.lengths + 1) // 2, batch.targets).all()


def test_clips_of_noise_are_a_corpus_that_episodes_can_be_drawn_from(tmp_path):
    [folder] = clips.find_or_make((), 8 * clips.LABELS, tmp_path, seed=0)
    corpus = load_corpus(folder, data.feature_config(), workers=1, progress=False)
    assert len(np.unique(corpus.columns["recording"])) == len(corpus) == 8 * clips.LABELS
    sampler = episode_sampler(corpus, ways=5, shots=1, queries=5, tasks=2, seed=0, max_frames=data.FRAMES, buckets=1)
    assert sampler(0).query.inputs.values.shape[:2] == (2, 25)
    before = (folder / "metadata.csv").read_bytes()
    clips.forget(folder)
    assert (folder / "metadata.csv").read_bytes() == before


def test_a_corpus_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXMETA_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"'absent',.* must be folders with a metadata.csv"):
        clips.find_or_make(("absent",), None, tmp_path, seed=0)


def test_the_cache_folder_is_put_back(tmp_path):
    before = os.environ["JAXMETA_HOME"]
    with clips.empty_cache(tmp_path):
        assert os.environ["JAXMETA_HOME"] == str(tmp_path)
    assert os.environ["JAXMETA_HOME"] == before


def test_results_are_kept_and_plots_go_beside_them(tmp_path):
    results = console.keep(tmp_path / "new" / "memory.json", [{"a": 1}], {"seed": 0})
    assert results == {"rows": [{"a": 1}], "run": {"seed": 0}}
    assert '"seed": 0' in (tmp_path / "new" / "memory.json").read_text()
    assert console.picture(None, tmp_path / "memory.json", "words") == tmp_path / "memory-words.png"
    assert console.picture(tmp_path / "plot.png", tmp_path / "memory.json", "ctc") == tmp_path / "plot-ctc.png"
    assert console.picture(None, None, "words") is None


def test_the_first_estimator_which_the_others_are_compared_with_is_first_order():
    assert next(iter(meta_gradient.make_learners(meta_gradient.Config(width=8)))) == "first order"


def test_help_is_shown_without_starting_jax():
    script = "import sys; from benchmarks import data, memory, meta_gradient, scaling; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
