"""Notebooks, which `.ci/run` runs: they show pictures, name what exists, hold nothing of the machine they ran on."""

import ast
import base64
import importlib
import json
import re
from pathlib import Path

import pytest

from tests.test_readme import missing

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind):
    held = json.loads(path.read_text(encoding="utf-8"))
    return [("".join(cell["source"]), cell.get("outputs", [])) for cell in held["cells"] if cell["cell_type"] == kind]


def test_there_are_three_and_all_of_them_are_below_a_megabyte():
    assert [path.stem for path in NOTEBOOKS] == [
        "a_learner_from_scratch", "a_wake_word", "twenty_recordings_of_one_voice",
    ]  # fmt: skip
    assert sum(path.stat().st_size for path in NOTEBOOKS) < 1e6


@every_notebook
def test_it_was_run_to_its_end_and_shows_a_picture(path):
    outputs = [output for _, some in cells(path, "code") for output in some]
    assert not [each for each in outputs if each["output_type"] == "error"]
    pictures = [each["data"]["image/png"] for each in outputs if "image/png" in each.get("data", {})]
    assert pictures and all(base64.b64decode("".join(each)).startswith(b"\x89PNG") for each in pictures)


@every_notebook
def test_it_names_no_place_of_a_machine(path):
    held = json.loads(path.read_text(encoding="utf-8"))
    text = json.dumps(
        [[cell["source"], [o for o in cell.get("outputs", []) if "data" not in o]] for cell in held["cells"]]
    )
    assert not re.search(r"/(tmp|home|root|work|usr|Users)/|[A-Z]:\\\\", text)
    assert all(cell["metadata"] == {} for cell in held["cells"])


@every_notebook
def test_what_it_imports_and_links_exists(path):
    for source, _ in cells(path, "code"):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("jaxmeta"):
                module = importlib.import_module(node.module)
                assert [each.name for each in node.names if not hasattr(module, each.name)] == []
    for text, _ in cells(path, "markdown"):
        assert [
            link for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text) if not (path.parent / link).exists()
        ] == []
        assert [each for each in re.findall(r"`([^`\n]+)`", text) if missing(each, path)] == []
        assert [line for line in text.splitlines() if len(line) >= 140] == []
