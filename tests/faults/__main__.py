"""`python -m tests.faults [--all]`: break things on purpose, and print the table of docs/reliability.md.

--all adds the tests elsewhere that count faults, too; JAXMETA_FAULTS=10 makes ten times as many tries of each.
"""

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
LINE = re.compile(r"^(.+): (\d+) tries, (\d+) detected, (\d+) whole, (\d+) lost", re.MULTILINE)
ELSEWHERE = {
    "malformed cards": ["tests/files/test_bundle.py", "-k", "malformed or no_card_at_all"],
    "hostile artefacts": ["tests/compress/test_hostile_artefacts.py"],
    "numbers of the command line out of range": ["tests/cli/test_ranges.py"],
    "cache on small disks": ["tests/data/test_disk.py"],
}
"""Tests of which each is one try, by what they break."""


def run(arguments: list[str]) -> str:
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-s", "-m", "slow or not slow", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.stdout


def main(everything: bool) -> int:
    """Print a row for each kind of fault; returns how many were lost."""
    print("| fault | tries | detected | whole | lost |\n|---|---|---|---|---|", flush=True)
    lost = 0
    for file in sorted(FOLDER.glob("test_*.py")):
        for label, *numbers in LINE.findall(run([str(file)])):
            tries, detected, whole, gone = map(int, numbers)
            lost += gone
            print(f"| {label} | {tries:,} | {detected:,} | {whole:,} | {gone:,} |", flush=True)
    for label, arguments in ELSEWHERE.items() if everything else ():
        said = run(arguments)
        passed, failed = (int(next(iter(re.findall(rf"(\d+) {word}", said)), "0")) for word in ("passed", "failed"))
        lost += failed
        print(f"| {label} | {passed + failed} | {passed} | 0 | {failed} |", flush=True)
    return lost


if __name__ == "__main__":
    sys.exit(1 if main("--all" in sys.argv[1:]) else 0)
