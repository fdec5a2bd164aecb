"""Texts that sound like a word and are not it: what a detector of that word should be shown, to be told apart."""

from collections.abc import Sequence

import numpy as np

from jaxmeta.data.synthesis.espeak import phonemes
from jaxmeta.data.synthesis.lexicon import letters

_VOWELS, _CONSONANTS = "aeiou", "bdfgklmnprstvz"
_TRIED = 4
"""Texts that are tried for each one wanted."""


def confusables(text: str, language: str = "en-us", count: int = 20, *, seed: int = 0) -> list[str]:
    """Texts near a word by their sounds, the nearest first; none sounds the same as it or as another.

    Letters of the word are changed, left out or put in, and parts of it stand alone; a third of its sounds differs.
    Args:
      text: the word, or several.
      language: of espeak-ng.
      count: how many, 1 or more; short words may have fewer.
      seed: of the draws.
    Raises:
      ValueError: nothing to pronounce, an unknown language, or a count below 1.
      ImportError: the extra "synth" is not installed.
    """
    if count < 1:
        raise ValueError(f"count={count} must be 1 or more.")
    own, rng = phonemes(text, language), np.random.default_rng(seed)
    words = text.split()
    tried = dict.fromkeys(words if len(words) > 1 else [])
    for _ in range(20 * _TRIED * count):
        if len(tried) >= _TRIED * count:
            break
        changed = _changed(text, rng)
        tried |= {changed: None} if letters(changed) and letters(changed) != letters(text) else {}
    distances: dict[tuple[str, ...], tuple[int, str]] = {}
    for each in tried:
        sounds = phonemes(each, language)
        distances.setdefault(sounds, (distance(own, sounds), each))
    # What is nearer is the word itself, as somebody else may say it.
    least = max(1, len(own) // 3)
    near = sorted((far, each) for far, each in distances.values() if far >= least)
    return [each for _, each in near[:count]]


def distance(first: Sequence[str], second: Sequence[str]) -> int:
    """The fewest sounds to change, insert or leave out.

    >>> distance(("k", "a", "t"), ("k", "V", "t", "s"))
    2
    """
    row = list(range(len(second) + 1))
    for number, sound in enumerate(first, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(second, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (sound != other))
    return row[-1]


def _changed(text: str, rng: np.random.Generator) -> str:
    """The text with one or two letters changed."""
    for _ in range(rng.integers(1, 3)):
        place = int(rng.integers(len(text)))
        letter = text[place].lower()
        kin = _VOWELS if letter in _VOWELS else _CONSONANTS
        other, kind = kin[rng.integers(len(kin))], rng.random()
        new = "" if kind < 0.25 else text[place] + other if kind < 0.4 else other
        text = text[:place] + new + text[place + 1 :]
        if not text.strip():
            break
    return text
