"""A learner is added by a file and two edits, which CONTRIBUTING.md names."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.slow
def test_a_learner_copied_from_maml_keeps_the_contract_after_two_edits(tmp_path):
    for name in ("jaxmeta", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    learners = tmp_path / "jaxmeta" / "learners"
    source = (learners / "maml.py").read_text(encoding="utf-8")
    (learners / "mine.py").write_text(source.replace("def maml(", "def mine("), encoding="utf-8")

    maml = "from .learners.maml import maml as maml\n"
    edit(tmp_path / "jaxmeta" / "__init__.pyi", maml, maml + "from .learners.mine import mine as mine\n")
    line = '    "mine": Entry(lambda e: jm.mine(NETWORK, cross_entropy, SGD, STEPS, e)),\n'
    edit(tmp_path / "tests" / "learner_cases.py", "LEARNERS = {\n", f"LEARNERS = {{\n{line}")

    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/contract.py", "-k", "mine or every_learner_is"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed >= 15 and "failed" not in done.stdout
