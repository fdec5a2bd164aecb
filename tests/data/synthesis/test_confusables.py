"""Texts that sound like a word: near it, never the same, and never twice the same."""

import pytest

from jaxmeta.data.synthesis.confusables import confusables, distance
from jaxmeta.data.synthesis.espeak import phonemes

pytest.importorskip("espeakng_loader", reason='needs the extra "synth"')


def test_the_distance_of_sounds_counts_changes():
    assert distance("kitten", "sitting") == 3
    assert distance("", "abc") == distance("abc", "") == 3 and distance("abc", "abc") == 0


def test_sounds_are_told_without_stress_and_tones():
    assert phonemes("cat", "en-us") == ("k", "a", "t")
    assert phonemes("Katze", "de")[:2] == ("k", "a")
    with pytest.raises(ValueError, match="nothing to say"):
        phonemes(" ")
    with pytest.raises(ValueError, match="espeak-ng has no language 'xx'"):
        phonemes("cat", "xx")


def test_confusables_differ_by_a_third_of_the_sounds_at_least_the_nearest_first():
    own = phonemes("hey computer", "en-us")
    texts = confusables("hey computer", count=6, seed=1)
    sounds = [phonemes(each, "en-us") for each in texts]
    far = [distance(own, each) for each in sounds]
    assert len(texts) == len(set(sounds)) == 6
    assert min(far) >= len(own) // 3 and far == sorted(far)
    assert texts == confusables("hey computer", count=6, seed=1)
    with pytest.raises(ValueError, match="count=0 must be 1 or more"):
        confusables("cat", count=0)
