"""Words that do not exist: random syllables, pronounceable in a given language, for any number of classes.

Deterministic: word i depends on (seed, i, languages, exclude) and on the words before it, so a longer list begins
with the shorter one.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from jaxmeta.data.synthesis.lexicon import Word, contains_excluded


class _Script(NamedTuple):
    """A syllable is onset + vowel + coda; one coda in four is not empty."""

    onsets: tuple[str, ...]
    vowels: tuple[str, ...]
    codas: tuple[str, ...]
    separator: str = ""


_LATIN = _Script(
    ("", *"bdfgklmnprstvz"),
    tuple("aeiou"),
    tuple("lmnrstk"),
)
_ARABIC = _Script(
    tuple("بتثجحخدذرزسشصضطظعغفقكلمنهوي"),
    # Short and long a, i, u; without these marks espeak-ng would guess the vowels.
    ("\u064e", "\u0650", "\u064f", "\u064e\u0627", "\u0650\u064a", "\u064f\u0648"),
    tuple(letter + "\u0652" for letter in "بتدرسشفقكلمن"),
)
_CYRILLIC = _Script(tuple("бвгджзклмнпрстфхцчш"), tuple("аоуэиыеяю"), tuple("клмнрст"))
_DEVANAGARI = _Script(
    tuple("कखगघचजटडतथदधनपफबभमयरलवशसह"),
    tuple("\u093e\u093f\u0940\u0941\u0942\u0947\u094b"),
    tuple(letter + "\u094d" for letter in "कतनमरलस"),
)
_KANA = _Script(
    tuple(
        "かきくけこさしすせそたちつてとなにぬねのまみむめもらりるれろがぎぐげござじずぜぞだでどばびぶべぼぱぴぷぺぽやゆよわふほ"
    ),
    ("",),
    ("ん",),
)
_FINALS = {
    "b p m": "a ai ao an ang eng i ie iao ian in ing u",
    "f": "a ei ou an en ang eng u",
    "d t": "a e ai ao ou an ang eng ong i ie iao ian ing u uo ui uan un",
    "n l": "a ai ei ao an ang eng ong i ie iao iu ian in iang ing u uo uan",
    "g k h": "a e ai ei ao ou an en ang eng ong u ua uo uai ui uan un uang",
    "j q x": "i ia ie iao iu ian in iang ing u ue uan un",
    "zh ch": "a e ai ao ou an en ang eng ong i u uo uai ui uan un uang",
    "sh": "a e ai ao ou an en ang eng i u ua uo ui uan un uang",
    "r": "e ao ou an en ang ong i u uo ui uan un",
    "z c s": "a e ai ao ou an en ang eng ong i u uo ui uan un",
    "y": "a e ao ou an ang ong i in ing u ue uan un",
    "w": "a o ai ei an en ang u",
}
_PINYIN = _Script(
    tuple(i + f for initials, finals in _FINALS.items() for i in initials.split() for f in finals.split()),
    tuple("1234"),
    (),
    " ",
)
_SCRIPTS = {
    "ar": _ARABIC, "fa": _ARABIC, "ru": _CYRILLIC, "bg": _CYRILLIC, "hi": _DEVANAGARI, "ne": _DEVANAGARI,
    "ja": _KANA, "cmn-latn-pinyin": _PINYIN,
}  # fmt: skip

PSEUDO_LANGUAGES = (
    "cmn-latn-pinyin", "ar", "es", "de", "tr", "id", "ru", "it", "hi", "sw", "fi", "ja", "pt-br", "nl", "hu", "en-us",
)  # fmt: skip
"""espeak-ng voices that read any spelling out regularly; Latin script unless listed in this file."""


def pseudo_words(
    count: int,
    languages: Sequence[str] = PSEUDO_LANGUAGES,
    *,
    syllables: tuple[int, int] = (2, 3),
    exclude: Collection[str] = (),
    seed: int = 0,
    split: str = "train",
) -> tuple[Word, ...]:
    """Return words of random syllables, the languages taking turns; no two have the same text.

    Args:
      count: number of words, at least 1.
      languages: espeak-ng codes; a repeated one gets a larger share. Those without a script of their own here
        (Arabic, Cyrillic, Devanagari, kana, pinyin with tones) are written in Latin letters.
      syllables: fewest and most syllables of a word.
      exclude: texts that no word may contain; letters are compared, without case, accents, tones and spaces.
        Give a word in every spelling that it has: "shu4 zi4" keeps out pinyin, but says nothing of other scripts.
      seed: 0 or more.
      split: of every word.
    Raises:
      ValueError: a bad number, or too few different words exist.
    """
    low, high = syllables
    if count < 1 or not languages or not 1 <= low <= high:
        raise ValueError(
            f"count={count}, languages={tuple(languages)} and syllables={syllables} need one word or more, "
            "one language or more, and 1 <= fewest <= most."
        )
    words: list[Word] = []
    seen: set[str] = set()
    for index in range(count):
        language = languages[index % len(languages)]
        text = _new_text(np.random.default_rng([seed, index]), language, syllables, seen, exclude)
        seen.add(text)
        words.append(Word(text, language, f"pseudo_{language}_{text.replace(' ', '')}", split))
    return tuple(words)


def _new_text(
    rng: np.random.Generator, language: str, syllables: tuple[int, int], seen: set[str], exclude: Collection[str]
) -> str:
    script = _SCRIPTS.get(language, _LATIN)
    for _ in range(1000):
        length = int(rng.integers(syllables[0], syllables[1] + 1))
        text = script.separator.join(_syllable(rng, script) for _ in range(length))
        if text not in seen and not contains_excluded(text, exclude):
            return text
    raise ValueError(
        f"found no new pseudo-word of {syllables} syllables for {language!r} after {len(seen)} words; "
        "ask for fewer words, more syllables or more languages, or exclude less."
    )


def _syllable(rng: np.random.Generator, script: _Script) -> str:
    coda = rng.choice(script.codas) if script.codas and rng.random() < 0.25 else ""
    return f"{rng.choice(script.onsets)}{rng.choice(script.vowels)}{coda}"
