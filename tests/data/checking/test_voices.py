"""Voices against names, with vectors whose voices are known."""

import numpy as np

from jaxmeta.data.checking.voices import LEAST_NAMES, reliability, two_groups, unit, voice_cases


def recordings(names, noise=1.0, each=10, size=64, seed=0):
    """Unit vectors of recordings [R, E] of different voices, and their names."""
    rng = np.random.default_rng(seed)
    means = unit(rng.normal(size=(len(names), size)))
    vectors = np.repeat(means, each, axis=0) + noise * rng.normal(size=(len(names) * each, size)) / np.sqrt(size)
    return unit(vectors), np.repeat(names, each)


def test_voices_that_fit_their_names_are_no_finding():
    for noise in (0.1, 0.5, 1.0):
        vectors, names = recordings([f"s{number}" for number in range(20)], noise)
        assert voice_cases(vectors, names.tolist()) == []


def test_a_voice_under_two_names_is_found_in_the_rows_of_the_rarer_name():
    vectors, names = recordings([f"s{number}" for number in range(12)])
    names = names.astype("U9")
    names[[3, 5, 7, 8, 9]] = "other"
    names[3] = "s0"
    names[[0]] = "other"
    cases = voice_cases(vectors, names.tolist())
    assert {case.kind for case in cases} == {"one-voice-two-names"}
    assert [case.row for case in cases] == np.flatnonzero(names == "other").tolist()
    assert "'other' sounds like 's0'" in cases[0].message


def test_two_voices_under_a_name_are_found_in_the_rows_of_the_rarer_voice():
    vectors, names = recordings([f"s{number}" for number in range(12)])
    names = names.astype("U9")
    names[10:14] = "s0"
    cases = voice_cases(vectors, names.tolist())
    assert [(case.kind, case.row) for case in cases] == [("two-voices-one-name", row) for row in range(10, 14)]


def test_few_names_and_few_recordings_say_nothing():
    vectors, _ = recordings(["a"] * LEAST_NAMES)
    assert voice_cases(vectors, ["a", "b"] * 25) == []
    vectors, names = recordings([f"s{number}" for number in range(20)], each=4)
    assert voice_cases(vectors, names.tolist()) == []


def test_reliability_is_that_of_spearman_and_brown():
    # Ten vectors of which each pair has cosine 1/2: 10 (1/2) / (1 + 9 (1/2)).
    equal = np.linalg.cholesky(0.5 * np.eye(10) + 0.5)
    assert np.isclose(reliability(equal), 5 / 5.5)
    assert reliability(np.tile(equal[:1], (3, 1))) == 1


def test_groups_are_those_of_two_directions():
    rng = np.random.default_rng(1)
    group = rng.random(30) < 0.4
    vectors = unit(np.where(group[:, None], [1.0, 0.0, 0.2], [0.0, 1.0, 0.2]) + 0.05 * rng.normal(size=(30, 3)))
    actual = two_groups(vectors)
    assert (actual == group).all() or (actual == ~group).all()
    two_groups(np.ones((5, 3)) / np.sqrt(3))  # All the same: one group or another, and an end.
