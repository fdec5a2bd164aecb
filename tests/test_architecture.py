"""The map: what may import what, and what importing the package may do."""

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import jaxmeta

ROOT = Path(__file__).parent.parent
LAYERS = [
    {"jaxmeta.types", "jaxmeta.files", "jaxmeta.interrupts", "jaxmeta.progress", "jaxmeta.versions"},
    {"jaxmeta.padding", "jaxmeta.metrics", "jaxmeta.alignments"},
    {"jaxmeta.keys", "jaxmeta.tree", "jaxmeta.losses", "jaxmeta.sequence_losses", "jaxmeta.optimizers"},
    {"jaxmeta.speaker_losses", "jaxmeta.bundle"},
    {"jaxmeta.objective", "jaxmeta.estimators"},
    {"jaxmeta.learners"},
    {"jaxmeta.training"},
    {"jaxmeta.evaluation"},
    {"jaxmeta.compress"},
    {"jaxmeta.recognition", "jaxmeta.verification", "jaxmeta.words"},
    {"jaxmeta.checking", "jaxmeta.reporting"},
    {"jaxmeta.cli", "experiments"},
    {"benchmarks"},
]
LEAVES = {
    "jaxmeta.models": {"jaxmeta.types"},
    "jaxmeta.data": {"jaxmeta.types", "jaxmeta.files", "jaxmeta.padding", "jaxmeta.progress"},
    "jaxmeta.decoding": {"jaxmeta.types", "jaxmeta.files", "jaxmeta.metrics"},
}
"""Beside the stack, with all that they may import of jaxmeta besides themselves; only scripts and tools import them."""


def place(module):
    """The entry of LAYERS or LEAVES that a module belongs to; None for the package itself."""
    names = [name for layer in [*LAYERS, LEAVES] for name in layer if f"{module}.".startswith(f"{name}.")]
    return names[0] if names else None


def layer(name):
    return next(index for index, names in enumerate(LAYERS) if name in names)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            # `from jaxmeta import tree` imports the module jaxmeta.tree.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(importer, imported):
    if importer == imported and importer not in {
        "jaxmeta.tree",
        "jaxmeta.losses",
        "jaxmeta.optimizers",
        "jaxmeta.progress",
    }:
        return True
    if importer in LEAVES:
        return imported in LEAVES[importer]
    if imported in LEAVES:
        return layer(importer) > layer("jaxmeta.training")
    return layer(imported) < layer(importer)


FILES = sorted(path for top in ("jaxmeta", "experiments", "benchmarks") for path in (ROOT / top).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_the_layers_above_it(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    importer = place(module)
    actual = {place(name) for name in imports(path)} - {None}
    if importer is not None:
        assert {name for name in actual if not allowed(importer, name)} == set()


def test_the_rule_notices_a_wrong_import():
    assert not allowed("jaxmeta.tree", "jaxmeta.losses")
    assert not allowed("jaxmeta.learners", "jaxmeta.training")
    assert not allowed("jaxmeta.learners", "jaxmeta.models")
    assert not allowed("jaxmeta.data", "jaxmeta.tree")
    assert not allowed("jaxmeta.progress", "jaxmeta.types") and not allowed("jaxmeta.models", "jaxmeta.progress")
    assert not allowed("jaxmeta.files", "jaxmeta.types") and not allowed("jaxmeta.data", "jaxmeta.bundle")
    assert allowed("jaxmeta.data", "jaxmeta.padding") and allowed("jaxmeta.recognition", "jaxmeta.bundle")
    assert allowed("experiments", "jaxmeta.data") and allowed("jaxmeta.training", "jaxmeta.tree")


TESTS = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_an_experiment_but_itself(path):
    own = ".".join(path.relative_to(ROOT).parts[:2])
    experiments = {name for name in imports(path) if name.startswith("experiments.")}
    assert {name for name in experiments if not f"{name}.".startswith(f"{own}.")} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_experiment_imports_the_library_alone(path):
    if path.is_relative_to(ROOT / "experiments"):
        assert not [name for name in imports(path) if name.startswith(("benchmarks", "tests"))]


def test_an_experiment_is_one_file_and_perhaps_its_data_and_published_figures():
    for folder in {path.parent for path in FILES if path.is_relative_to(ROOT / "experiments")} - {ROOT / "experiments"}:
        assert {path.stem for path in folder.glob("*.py")} <= {"__init__", "__main__", "data", "published"}, folder.name


@pytest.mark.parametrize(
    "room", sorted({path.parent for path in [*FILES, *TESTS]}), ids=lambda room: str(room.relative_to(ROOT))
)
def test_a_room_has_at_most_fourteen_modules(room):
    if room.name != "learners":  # One file for each learner, and one with its tests.
        assert len({*room.glob("*.py")} - {room / "__init__.py"}) <= 14


def test_importing_the_package_and_asking_for_help_does_not_wait_for_jax():
    script = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event == "socket.connect" else None)
import jaxmeta
from jaxmeta.cli.main import GROUPS, SUBCOMMANDS, main
for name in ("", *GROUPS, *SUBCOMMANDS, "--version"):
    try:
        main([name] if name == "--version" else [*name.split(), "--help"])
    except SystemExit as stop:
        assert stop.code == 0
assert not {"jax", "flax", "numpy", "librosa", "numba", "soundfile"} & set(sys.modules) and not opened
"""
    actual = subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, capture_output=True, text=True)
    assert "{transcribe,adapt" in actual.stdout
    assert f"jaxmeta {jaxmeta.__version__}" in actual.stdout and f"\njax {version('jax')}" in actual.stdout


def test_using_the_package_brings_in_jax_and_optax_only_and_configures_nothing():
    script = """
import sys, jax, optax, lazy_loader, pathlib
before, config = set(sys.modules), dict(jax.config.values)
opened = []
sys.addaudithook(lambda event, args: opened.append((event, args)) if event in ("open", "socket.connect") else None)
from jaxmeta import *
new = {name.split(".")[0] for name in set(sys.modules) - before}
assert new == {"jaxmeta"}, new
assert maml and dict(jax.config.values) == config
# The interpreter reads the modules themselves, and the list of public names; nothing else is opened.
files = [args[0] for event, args in opened if event == "open" and not str(args[0]).endswith((".py", ".pyc", ".pyi"))]
assert not [f for f in files if "__pycache__" not in str(f)] and not [e for e, _ in opened if e == "socket.connect"]
"""
    subprocess.run([sys.executable, "-W", "error::ImportWarning", "-c", script], check=True, cwd=ROOT)


def test_public_names():
    for name in jaxmeta.__all__:
        assert hasattr(jaxmeta, name)
    wanted = "Batch Episode Ragged Model MetaLearner maml anil protonet unrolled first_order mixed_mode truncated"
    assert set(wanted.split()) <= set(jaxmeta.__all__)
