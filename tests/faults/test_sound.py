"""A thousand damaged files of every container: none gives less sound than it had without an error.

`python -m pytest -m slow -n 0 -s tests/faults/test_sound.py` prints the counts that docs/reliability.md has. Most flips
in samples that no checksum covers (WAV) and in tags come back as long as they were.
"""

import collections
import logging

import numpy as np
import pytest

from jaxmeta.data.audio import AudioError, read_audio
from tests.data.containers.recordings import KINDS, encoded, sound

pytestmark = pytest.mark.slow
TRIES = 1_000
HEADER = 96
"""First bytes, which half of the damage is done to."""
CHECKED = ("flac", "flac-24", "vorbis", "opus")
"""Kinds whose sound is under checksums: what is read at all must be what it was, sample for sample."""
TOLERANCE = 16
"""Samples of 16,000 that a recording may be shorter: a header's rates may differ by rounding."""


def damaged(data, rng):
    """A copy of the bytes with damage of one of nine kinds."""
    data = bytearray(data)
    at = int(rng.integers(min(len(data), HEADER if rng.integers(2) else len(data))))
    size = int(rng.integers(1, 600))
    match int(rng.integers(9)):
        case 0:
            data[at] ^= 1 << int(rng.integers(8))
        case 1:
            for place in rng.integers(len(data), size=3):
                data[place] ^= 1 << int(rng.integers(8))
        case 2:
            del data[at:]
        case 3:
            del data[at : at + size]
        case 4:
            data[at : at + size] = bytes(len(data[at : at + size]))
        case 5:
            data[at] = int(rng.integers(256))
        case 6:
            data[at:at] = rng.bytes(size)
        case 7:
            data[at : at + 4] = rng.bytes(4)
        case 8:
            data[at : at + size] = data[at : at + size] * 2
    return bytes(data)


def outcome(path, least, expected=None):
    try:
        waveform = read_audio(path)
    except AudioError:
        return "detected"
    whole = len(waveform) >= least and (expected is None or np.array_equal(waveform, expected))
    return "whole" if whole else "lost"


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_loses_sound_without_an_error(tmp_path, caplog, kind):
    caplog.set_level(logging.ERROR, logger="jaxmeta")
    rng, path, whole = np.random.default_rng(list(KINDS).index(kind)), tmp_path / "a", encoded(kind, sound())
    path.write_bytes(whole)
    expected, counts = read_audio(path), collections.Counter()
    least, expected = len(expected) - TOLERANCE, expected if kind in CHECKED else None
    for _ in range(TRIES):
        path.write_bytes(damaged(whole, rng))
        counts[outcome(path, least, expected)] += 1
    print(f"\n{kind}: {TRIES} tries, {counts['detected']} detected, {counts['whole']} whole, {counts['lost']} lost")
    assert counts["lost"] == 0 and counts["detected"] > TRIES // 4


@pytest.mark.parametrize("kind", CHECKED)
def test_every_bit_of_a_compressed_recording_counts(tmp_path, caplog, kind):
    caplog.set_level(logging.ERROR, logger="jaxmeta")
    rng, path, whole = np.random.default_rng(7), tmp_path / "a", encoded(kind, sound())
    counts = collections.Counter()
    for place in rng.integers(len(whole) // 5, len(whole), size=TRIES // 2):  # Behind the headers.
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        counts[outcome(path, 0)] += 1
    assert counts == {"detected": TRIES // 2}
