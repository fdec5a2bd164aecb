"""README and docs: examples run as they stand, what they name exists, and lines are short."""

import contextlib
import re
import runpy
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest

from jaxmeta.data.audio import write_audio
from jaxmeta.data.manifest import write_manifest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob("docs/**/*.md"))]
TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
RESULTS = sorted(ROOT.glob("experiments/**/*.md"))
COSTS = sorted(ROOT.glob("benchmarks/*.md"))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def examples(page: Path) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))


def prose(page: Path) -> str:
    """The page without its blocks of code, whose lines stay as empty ones."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)


def recordings(folder: Path) -> None:
    """Six words by four speakers, four times each: enough for 5-way episodes of 1 + 3 with disjoint speakers."""
    columns: dict[str, list[str]] = {"file_name": [], "label": [], "speaker": []}
    folder.mkdir()
    rng = np.random.default_rng(0)
    for word in range(6):
        for speaker in range(4):
            for take in range(4):
                file = f"{word}_{speaker}_{take}.wav"
                tone = np.sin(2 * np.pi * (200 + 150 * word) * np.arange(3200) / 16000)
                write_audio(folder / file, (0.3 * tone + 0.01 * rng.normal(size=3200)).astype(np.float32), 16000)
                for column, value in zip(columns, (file, f"word{word}", f"s{speaker}"), strict=True):
                    columns[column].append(value)
    write_manifest(folder, columns)


def stand_in(module: str, function: str) -> ModuleType:
    """In the place of a service of logs: a module of its name whose function keeps what it gets, and takes no other."""
    made, rows = ModuleType(module), []

    def log(metrics: dict[str, float], step: int | None = None) -> None:
        assert all(isinstance(number, float) for number in metrics.values()) and isinstance(step, int)
        rows.append((step, metrics))

    made.init = made.start_run = lambda **options: contextlib.nullcontext(made)
    made.rows = rows
    setattr(made, function, log)
    return made


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=name)
def test_the_examples_of_a_page_run_one_after_the_other_and_leave_finite_numbers(page, tmp_path, monkeypatch):
    recordings(tmp_path / "my_recordings")
    for module, function in (("wandb", "log"), ("mlflow", "log_metrics"), ("trackio", "log")):
        monkeypatch.setitem(sys.modules, module, stand_in(module, function))
    monkeypatch.chdir(tmp_path)
    Path("examples.py").write_text(examples(page), encoding="utf-8")
    left = runpy.run_path("examples.py")
    arrays = [leaf for leaf in jax.tree.leaves(left) if isinstance(leaf, jax.Array)]
    numbers = [leaf for leaf in arrays if jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating)]
    assert numbers and all(np.isfinite(leaf).all() for leaf in numbers)
    if page.name == "logs.md":
        for module in ("wandb", "mlflow", "trackio"):
            assert [step for step, _ in sys.modules[module].rows] == [1, 2]
    if "metrics" in left:
        assert int(left["train"].step) == 1 and int(left["metrics"]["masked"]) == 0


def test_set_up_is_two_commands():
    commands = [line for line in README.read_text(encoding="utf-8").splitlines() if "pip install" in line]
    assert len(commands) == 2
    assert "experiments.spoken_words --preset quick" in commands[0] and commands[1].endswith("-m pytest")


def links(page: Path) -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*TEXTS, *RESULTS, *COSTS], ids=name)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@cache
def names_of_tests() -> set[str]:
    files = (ROOT / "tests").rglob("*.py")
    return {each for file in files for each in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)}


def missing(quoted: str, page: Path) -> bool:
    """Whether this looks like a file, a folder, a module or a test of the repository, and is none."""
    if re.fullmatch(r"test_\w+", quoted):
        return quoted not in names_of_tests()
    if module := re.search(r"-m ((?:experiments|benchmarks)(?:\.\w+)+)", quoted):
        path = ROOT.joinpath(*module[1].split("."))
        return not (path.is_dir() or path.with_suffix(".py").exists() or path.name == "NAME")
    # Experiments write to runs/, which is no part of the repository.
    folders = {each.name for top in (ROOT, ROOT / "jaxmeta") for each in top.iterdir() if each.is_dir()} - {"runs"}
    ours = ("/" in quoted and quoted.split("/")[0] in folders) or quoted.endswith((".py", ".md", ".cfg", ".toml"))
    if ours and re.fullmatch(r"[\w./-]+", quoted):
        return not any((folder / quoted).exists() for folder in (ROOT, ROOT / "jaxmeta", page.parent))
    return False


@pytest.mark.parametrize("page", [*TEXTS, *RESULTS, *COSTS], ids=name)
def test_files_modules_and_tests_that_are_named_exist(page):
    assert [each for each in re.findall(r"`([^`\n]+)`", prose(page)) if missing(each, page)] == []


def test_what_is_not_there_is_noticed():
    assert (
        missing("jaxmeta/no_such.py", README) and missing("docs/no_such/", README) and missing("test_nothing", README)
    )
    assert missing("python -m experiments.no_such --preset quick", README)
    assert not missing("models/clip_encoders.py", README) and not missing("runs/mine", README)


@pytest.mark.parametrize("page", [*TEXTS, *RESULTS, *COSTS], ids=name)
def test_lines_end_before_140_characters(page):
    """Tables, code and addresses aside."""
    lines = [re.sub(r"https?://\S+", "", line) for line in prose(page).splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(line) >= 140] == []
