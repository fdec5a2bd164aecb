import hashlib
import importlib.util
import json
import logging
import socket
import subprocess
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest

from jaxmeta.metrics import Interval
from jaxmeta.training import report
from jaxmeta.training.report import (
    interval_table,
    markdown_table,
    plot_bars,
    plot_curves,
    source_digest,
    stamp,
    write_results,
    write_tables,
    write_titled_tables,
)

_SERIES = {
    "MAML": (np.arange(11), 90 - 40 * np.exp(-np.arange(11)), np.ones(11)),
    "floor": ([0, 10], [49.0, 49.0], None),
}


def test_stamp_says_how_to_run_it_again_and_not_on_whose_machine(tmp_path):
    (tmp_path / "metadata.csv").write_bytes(b"file_name\na.wav\n")
    run = stamp(7, ["train", "--seed", "7"], {"words": tmp_path, "made": "abc"})
    assert run["seed"] == 7
    assert run["argv"] == ["train", "--seed", "7"]
    assert stamp(7, [str(Path.cwd() / "scripts" / "a.py"), "--n"], {})["argv"] == ["scripts/a.py", "--n"]
    assert run["data"] == {"words": hashlib.sha256(b"file_name\na.wav\n").hexdigest(), "made": "abc"}
    assert run["packages"]["jax"] == jax.__version__
    assert run["device"]["count"] == jax.device_count()
    assert socket.gethostname() not in json.dumps(run).split('"')


def test_stamp_names_the_commit_and_whether_code_differs_from_it(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    source = tmp_path / "jaxmeta" / "__init__.py"
    source.parent.mkdir()
    source.write_text("1\n")
    monkeypatch.setattr(report.jaxmeta, "__file__", str(source))
    git("init", "-q")
    assert stamp(0, [], {})["commit"] is None  # inside a checkout, yet not part of it
    git("add", "-A")
    git("commit", "-q", "-m", "a")
    assert stamp(0, [], {})["commit"] == {"id": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "experiment.py").write_text("2\n")
    assert stamp(0, [], {})["commit"]["dirty"] is True


def test_missing_data_is_an_error_naming_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        stamp(0, [], {"words": tmp_path / "nowhere"})


def test_table_aligns_numbers_and_shows_absent_ones_as_a_dash():
    rows = [
        {"method": "a|b", "accuracy": 81.25, "ci95": 0.31, "steps": 5},
        {"method": "floor", "accuracy": np.float32(9.0), "ci95": None},
    ]
    assert markdown_table(rows, {"method": "", "accuracy": ".1f", "ci95": ".1f", "steps": ""}) == (
        "| method | accuracy | ci95 | steps |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| a\\|b | 81.2 | 0.3 | 5 |\n"
        "| floor | 9.0 | – | – |\n"
    )
    assert markdown_table(rows[:1], ["steps", "accuracy"]) == "| steps | accuracy |\n| ---: | ---: |\n| 5 | 81.25 |\n"


def test_intervals_are_shown_with_their_bounds_and_pairs_with_their_half_width(tmp_path, capsys):
    rows = [{"error": Interval(5.0, 1.0, 9.5), "change": (0.0, 0.25)}]
    write_titled_tables(tmp_path, {"Errors": rows}, {"argv": ["train", "it"]})
    text = capsys.readouterr().out
    assert text.startswith("Errors:\n\n| error") and "| 5 (1 to 9.5) | 0.0 ± 0.2 |" in text
    assert (tmp_path / "results.md").read_text().endswith("\n`train it`\n")
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == [
        {"table": "Errors", "error": [5.0, 1.0, 9.5], "change": [0.0, 0.25]}
    ]


def test_column_that_no_row_has_is_refused():
    with pytest.raises(ValueError, match=r"column 'acuracy'; rows have \['accuracy'\]"):
        markdown_table([{"accuracy": 1.0}], ["acuracy"])


def test_results_hold_rows_and_run(tmp_path):
    path = write_results(tmp_path / "new", [{"accuracy": np.float64(80.5), "steps": np.int32(5)}], {"seed": 1})
    assert path == tmp_path / "new" / "results.json"
    assert json.loads(path.read_text()) == {"rows": [{"accuracy": 80.5, "steps": 5}], "run": {"seed": 1}}


def test_tables_are_written_beside_the_rows_and_show_intervals(tmp_path, capsys):
    rows = [{"name": "a"} | Interval(1.25, 1.0, 2.0).columns("cer"), {"name": "b"}]
    table = interval_table(rows, {"name": "", "CER": ("cer", " %", ".1f")})
    assert table.splitlines()[2:] == ["| a | 1.2 % (1.0 to 2.0) |", "| b | – |"]
    results = write_tables(tmp_path / "run", table, rows, {"argv": ["python", "-m", "x"]})
    assert results["rows"] == rows == json.loads((tmp_path / "run" / "results.json").read_text())["rows"]
    assert (tmp_path / "run" / "results.md").read_text() == f"{table}\n`python -m x`\n"
    assert capsys.readouterr().out == f"{table}\n"


def test_plot_is_a_png_with_the_curves_colours(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "plots" / "steps.png"
    assert plot_curves(path, _SERIES, "steps", "accuracy (%)", "Arabic", points={"support": ([1], [60.0])}) == path
    pixels = (image.imread(path)[..., :3] * 255).round().astype(int)
    assert pixels.shape == (600, 960, 3)
    for colour in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E), (0, 0, 0)):
        assert (pixels == colour).all(-1).sum() > 100


def test_plot_without_matplotlib_says_so_in_one_line(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING, logger="jaxmeta"):
        assert plot_curves(tmp_path / "a.png", _SERIES, "x", "y", "t") is None
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'a.png'} is not drawn: matplotlib is missing; pip install 'jaxmeta[plot]'."
    ]
    assert not (tmp_path / "a.png").exists()


def test_series_of_unequal_lengths_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="series 'MAML'"):
        plot_curves(Path(tmp_path / "a.png"), {"MAML": ([1, 2], [1.0], None)}, "x", "y", "t")


def test_bars_are_drawn_one_for_each_group(tmp_path):
    path = tmp_path / "plots" / "bars.png"
    series = {"MAML": ([80.0, 90.0], [1.0, 0.5]), "floor": ([50.0, 70.0], [1.0, 1.0])}
    assert plot_bars(path, series, ["1 shot", "5 shots"], "accuracy (%)", "Arabic") == path
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"series 'MAML' has 2 bars for groups=\['1 shot'\]"):
        plot_bars(path, series, ["1 shot"], "accuracy (%)", "Arabic")


def test_the_digest_of_the_source_changes_with_its_python_files_alone(tmp_path):
    package = ModuleType("package")
    package.__file__ = str(tmp_path / "__init__.py")
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "part.py").write_text("a = 1\n")
    first = source_digest(package)
    (tmp_path / "notes.md").write_text("text")
    assert source_digest(package) == first
    (tmp_path / "part.py").write_text("a = 2\n")
    second = source_digest(package)
    (tmp_path / "part.py").rename(tmp_path / "other.py")
    assert len({first, second, source_digest(package)}) == 3
