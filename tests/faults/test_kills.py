"""Processes that are killed while they write: what they had finished is there, and the next one goes on.

`python -m pytest -m slow -n 0 -s tests/faults/test_kills.py` prints the counts that docs/reliability.md has.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.loops import LOOPS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
KILLS = {"checkpoints": 60, "features": 60}
MANY = 76
"""Of each of the other kinds; 500 in all."""


@pytest.mark.parametrize("kind", LOOPS)
def test_a_killed_writer_loses_nothing_that_it_had_finished(tmp_path, kind):
    tries = KILLS.get(kind, MANY) * int(os.environ.get("JAXMETA_FAULTS", "1"))
    command = [sys.executable, "-m", "tests.faults.loops", kind, str(tmp_path), str(tries), "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    print(f"\nkills, {kind}: {tries} tries, 0 detected, {tries - counts['lost']} whole, {counts['lost']} lost")
    assert counts["lost"] == 0 and counts["written"] >= tries // 5, done.stderr
