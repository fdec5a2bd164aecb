"""Fifty signals over five phases of commands: a line and the status of the signal, never a traceback.

`python -m pytest -m slow -n 0 -s tests/faults/test_signals.py` prints the counts that docs/reliability.md has.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.phases import PHASES

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TRIES = 10 * int(os.environ.get("JAXMETA_FAULTS", "1"))
SECONDS = 20.0
"""Until the end, at most, whatever else this machine does; commands wait four for Python, and these phases one."""


@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_ends_every_phase_with_a_line_and_its_status(tmp_path, phase):
    command = [sys.executable, "-m", "tests.faults.phases", phase, str(tmp_path), str(TRIES), "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    say(phase, len(counts["wrong"]), counts["longest"])
    assert not counts["wrong"] and counts["longest"] < SECONDS


STARTING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell starts what is in the background without it.
sys.addaudithook(lambda event, args: event == "import" and args[0] == "jaxmeta.cli.main" and os.write(1, b"ready"))
from jaxmeta.cli.__main__ import start
sys.argv = ["jaxmeta", "--help"]
start()
"""


def test_a_signal_ends_a_command_that_still_imports(tmp_path):
    rng, wrong, longest = random.Random(0), [], 0.0
    for _ in range(TRIES):
        number = rng.choice([signal.SIGINT, signal.SIGTERM])
        with subprocess.Popen([sys.executable, "-c", STARTING], cwd=ROOT, stdout=-1, stderr=-1) as process:
            assert process.stdout.read(5) == b"ready"
            time.sleep(rng.uniform(0, 0.1))
            began = time.monotonic()
            process.send_signal(number)
            said = process.communicate()[1].decode()
        longest = max(longest, time.monotonic() - began)
        if process.returncode != 128 + number or said.strip() != f"jaxmeta: stopped by {number.name}":
            wrong.append([process.returncode, said])
    say("start-up", len(wrong), longest)
    assert not wrong and longest < SECONDS


def say(phase, lost, longest):
    print(f"\nsignals, {phase}: {TRIES} tries, {TRIES - lost} detected, 0 whole, {lost} lost (at most {longest:.1f} s)")
