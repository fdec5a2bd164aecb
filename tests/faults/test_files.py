"""Damage to every kind of file that is written: refused by name, mended, or of no effect.

`python -m pytest -m slow -n 0 -s tests/faults/test_files.py` prints the counts that docs/reliability.md has.
"""

import collections
import logging
import os
import shutil

import numpy as np
import pytest

from tests.faults.kinds import KINDS

pytestmark = pytest.mark.slow
TRIES = 150 * int(os.environ.get("JAXMETA_FAULTS", "1"))
"""For each of ten kinds."""


def damaged(content, rng, others):
    """The bytes cut, with a flipped bit, with a stretch of zeros, or those of another file."""
    content = bytearray(content)
    at, size = int(rng.integers(len(content))), int(rng.integers(1, 200))
    match int(rng.integers(4)):
        case 0:
            del content[at:]
        case 1:
            content[at] ^= 1 << int(rng.integers(8))
        case 2:
            content[at : at + size] = bytes(len(content[at : at + size]))
        case 3:
            return others[int(rng.integers(len(others)))]
    return bytes(content)


def outcome(written, expected, folder, path):
    """What reading gives: an error that names a file of the folder, the right value, made again perhaps, or another."""
    content = path.read_bytes()
    try:
        value = written.read()
    except (ValueError, OSError) as error:
        assert str(folder) in str(error) and "\n" not in str(error)
        return "detected"
    if value == expected or (written.shorter and expected.startswith(value.rstrip("]"))):
        return "detected" if written.mended and path.read_bytes() != content else "whole"
    return "lost"


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_is_believed(tmp_path, monkeypatch, caplog, kind):
    caplog.set_level(logging.WARNING, logger="jaxmeta")
    monkeypatch.setenv("JAXMETA_HOME", str(tmp_path / "cache"))
    rng, folder = np.random.default_rng(list(KINDS).index(kind)), tmp_path / "written"
    written, other = KINDS[kind](folder, 0), KINDS[kind](tmp_path / "other", 1)
    whole = {path: path.read_bytes() for path in written.files}
    alien = [(path.name, path.read_bytes()) for path in other.files]
    expected, counts = written.read(), collections.Counter()
    for _ in range(TRIES):
        path = written.files[int(rng.integers(len(written.files)))]
        others = [content for each, content in whole.items() if content != whole[path]]
        others += [
            content for name, content in alien if content != whole[path] and not (written.alone and name == path.name)
        ] or [b"{}"]
        path.write_bytes(damaged(whole[path], rng, others))
        counts[outcome(written, expected, tmp_path, path)] += 1
        for aside in folder.rglob("damaged.*"):
            shutil.rmtree(aside)
        for each, content in whole.items():
            if each.read_bytes() != content:
                each.write_bytes(content)
    print(f"\n{kind}: {TRIES} tries, {counts['detected']} detected, {counts['whole']} whole, {counts['lost']} lost")
    assert counts["lost"] == 0 and counts["detected"] > TRIES // 3
