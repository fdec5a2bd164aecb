"""The comparison with peers: rows of turns, results that go on, tables from files; no times."""

import json
from pathlib import Path

import pytest

from benchmarks import all as everything
from benchmarks import peers, tables
from benchmarks.shared.peer_rows import Run, summarise
from benchmarks.shared.results import Results
from benchmarks.systems import SYSTEMS, library, process
from benchmarks.systems.agreement import REFERENCE
from benchmarks.systems.workers import Workers
from benchmarks.worker import WorkerError
from benchmarks.workloads import make

WHAT = {"name": "sinusoid", "tasks": 25, "steps": 1, "precision": "float32"}
PAGE = Path(__file__).parents[2] / "benchmarks" / "README.md"


def run(system, seconds, order=2, tasks=25):
    turns = [{"runs": 2, "seconds": each, "cpu_seconds": each / 2, "memory_mb": 1.0} for each in seconds]
    return Run(system, order, make("sinusoid", tasks, 1), {"compile_seconds": 0.5, "cores": "1 device"}, turns)


def test_a_ratio_is_that_to_the_fastest_peer_of_each_turn():
    runs = [run(REFERENCE, [1.0, 1.0, 1.0]), run("plain JAX", [2.0, 4.0, 8.0]), run("PyTorch func", [3.0, 3.0, 3.0])]
    rows = summarise(WHAT, [*runs, run("jaxmeta, programs", [0.1, 0.1, 0.1])], 1e12)
    assert rows[0]["tasks_per_second"] == 50 and rows[0]["lowest"] == rows[0]["highest"] == 50
    # The fastest took 2, 3 and 3 s; jaxmeta in another form is no peer.
    assert rows[0]["ratio_to_best_peer"] == rows[0]["ratio_of_processor_time"] == 3
    assert rows[0]["best_peer"] == "PyTorch func"
    assert rows[1]["ratio_to_best_peer"] is None and rows[1]["turns"] == 3
    # 10,000 operations a gradient, of 10 support examples three times and of 10 query examples once.
    assert rows[0]["gflops"] == 50 * 10_000 * 40 / 1e9
    assert rows[0]["matmul_fraction"] == pytest.approx(50 * 10_000 * 40 / 1e12)


def test_a_system_that_takes_tasks_in_turn_is_counted_by_its_own_tasks():
    assert summarise(WHAT, [run("PyTorch eager", [1.0], tasks=4)], 1e12)[0]["tasks_per_second"] == 8


def test_second_order_of_ctc_is_compared_with_first_order_of_pytorch():
    what = WHAT | {"name": "ctc"}
    rows = summarise(what, [run(REFERENCE, [1.0]), run("plain JAX", [0.5]), run("PyTorch eager", [2.0], 1)], 1e12)
    assert rows[0]["ratio_to_best_peer"] == 2 and rows[0]["best_peer"] == "PyTorch eager, order 1"


def test_results_are_written_as_they_come_and_read_again(tmp_path):
    first = Results(tmp_path / "new" / "peers.json", ("rows", "notes"))
    first.put("a", [{"x": 1}])
    first.put("b", [{"x": 2}])
    first.put("a", [{"x": 3}])
    first.finish("b")
    first.note("b is done")
    second = Results(tmp_path / "new" / "peers.json", ("rows", "notes"))
    second.note("b is done")
    assert [(row["group"], row["x"]) for row in second["rows"]] == [("b", 2), ("a", 3)]
    assert second.done("b") and not second.done("a") and second["notes"] == ["b is done"]


def test_a_group_that_was_stopped_is_measured_again_and_a_complete_one_is_not(tmp_path):
    file, asked = tmp_path / "rows.json", []

    def measure(write):
        asked.append("measured")
        write([{"x": 1}])
        if len(asked) == 1:
            raise KeyboardInterrupt
        return [{"x": 1}, {"x": 2}]

    with pytest.raises(KeyboardInterrupt):
        Results(file, ("rows",)).group("a", measure)
    assert Results(file, ("rows",))["rows"] == [{"group": "a", "x": 1}]
    assert Results(file, ("rows",)).group("a", measure) == [{"x": 1}, {"x": 2}]
    assert Results(file, ("rows",)).group("a", measure) == [{"x": 1}, {"x": 2}] and len(asked) == 2


def test_a_file_of_other_settings_is_refused(tmp_path):
    file = tmp_path / "rows.json"
    results = Results(file, ("rows",))
    results.stamp(peers.Config(json=file, turns=3, budget=10.0))
    results.write()
    Results(file, ("rows",)).stamp(peers.Config(turns=3))
    with pytest.raises(ValueError, match="was measured with turns=3, not 5; name another file"):
        Results(file, ("rows",)).stamp(peers.Config(turns=5))


def test_systems_of_a_library_share_a_process_and_a_compiler_has_its_own():
    assert {process(system) for system in SYSTEMS} == {"jax", "torch", "torch.compile"}
    assert library("jaxmeta, programs") == library("plain JAX") == "jax" and library("torch.compile") == "torch"


def test_what_cannot_be_done_is_an_answer_and_leaves_the_process_alive():
    workers = Workers()
    try:
        with pytest.raises(WorkerError, match="ValueError: name must be one of"):
            workload = {"name": "cosine", "tasks": 1, "steps": 1}
            workers.ask(REFERENCE, "build", name="a", workload=workload, order=2, gradient="/dev/null")
        assert workers.ask(REFERENCE, "drop") == {}
    finally:
        workers.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workloads": ("cosine",)}, "workloads must be some of"),
        ({"systems": ("plain JAX",)}, "systems must have 'jaxmeta'"),
        ({"precisions": ("float8",)}, "precisions must be some of"),
        ({"turns": 0}, "turns must be 1 or more"),
    ],
)
def test_what_is_not_measured_is_refused_before_anything_starts(arguments, message):
    with pytest.raises(ValueError, match=message):
        peers.main(peers.Config(**arguments))


def test_a_budget_is_shared_and_peers_get_most():
    assert everything.share("peers", 100.0, 7) == 40 and everything.share("data", 100.0, 1) == 100
    assert everything.share("memory", 100.0, 4) == 25


def test_a_benchmark_that_is_stopped_ends_with_its_workers_and_the_same_command_goes_on(tmp_path, monkeypatch):
    asked, results = [], {"peers": [({"notes": ["ctc: left out, no time was left."]}, False), ({"notes": []}, True)]}

    def measure(name, quick, seconds, before, write, gpu):
        asked.append((name, quick, before))
        return results.get(name, [({"rows": []}, True)]).pop(0)

    monkeypatch.setattr(everything, "measure", measure)
    config = everything.Config(tmp_path / "all.json", budget=1000, sections=("peers", "memory"))
    assert everything.main(config)["stopped"] == ["peers"]
    assert everything.main(config)["stopped"] == []
    assert asked[0] == ("peers", False, None) and asked[1][0] == "memory"
    assert asked[2:] == [("peers", False, {"notes": ["ctc: left out, no time was left."]})]
    assert everything.run(["sh", "-c", "exit 3"], None) == 3
    assert everything.run(["sh", "-c", "while true; do read x < /dev/zero; done"], 0.1) < 0


def test_a_note_is_taken_back(tmp_path):
    results = Results(tmp_path / "peers.json", ("rows", "notes"))
    results.note("ctc: left out")
    results.forget("ctc: left out")
    assert results["notes"] == []


def test_a_table_has_ranges_three_digits_and_no_absent_numbers():
    rows = [
        {"group": "g", "system": "jaxmeta", "tasks_per_second": 1234.5, "lowest": 0.1234, "highest": 2345.6},
        {"group": "g", "system": "peer", "tasks_per_second": 12.345, "lowest": None, "highest": None},
    ]
    assert tables.render(rows).splitlines() == [
        "| system | tasks a second |",
        "| --- | ---: |",
        "| jaxmeta | 1,234 (0.123 to 2,346) |",
        "| peer | 12.3 |",
    ]


def test_tables_of_a_page_come_from_files(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"sections": {"peers": {"rows": [{"x": 1}]}}}))
    page = "before\n<!-- a.json peers -->\nold\n<!-- end -->\nafter\n"
    text = tables.renew(page, tmp_path)
    assert text == "before\n<!-- a.json peers -->\n\n| x |\n| ---: |\n| 1 |\n\n<!-- end -->\nafter\n"
    assert tables.renew(text, tmp_path) == text
    with pytest.raises(ValueError, match="has no section 'data'"):
        tables.renew(page.replace("peers", "data"), tmp_path)


def test_tables_of_the_page_are_those_of_its_files():
    text = PAGE.read_text(encoding="utf-8")
    assert tables.BLOCK.search(text) and tables.renew(text, PAGE.parent) == text
