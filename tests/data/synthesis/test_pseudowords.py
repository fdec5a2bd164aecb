"""Pseudo-words are new, pronounceable, different, and never a word that must be kept out."""

import pytest

from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.synthesis.builtin_corpus import embedded_corpus
from jaxmeta.data.synthesis.espeak import languages, speak
from jaxmeta.data.synthesis.lexicon import contains_excluded, letters
from jaxmeta.data.synthesis.pseudowords import PSEUDO_LANGUAGES, pseudo_words

pytest.importorskip("espeakng_loader", reason='needs pip install "jaxmeta[synth]"')


def test_words_follow_from_the_seed():
    assert pseudo_words(50, seed=3) == pseudo_words(50, seed=3)
    assert {word.text for word in pseudo_words(50, seed=3)} != {word.text for word in pseudo_words(50, seed=4)}


def test_a_longer_list_begins_with_the_shorter_one():
    assert pseudo_words(200)[:80] == pseudo_words(80)


def test_a_thousand_words_are_all_different():
    words = pseudo_words(1000)
    assert len({word.text for word in words}) == len({word.label for word in words}) == 1000


def test_languages_take_turns_and_repeats_get_more():
    words = pseudo_words(9, ("ar", "sw", "ar"))
    assert [word.language for word in words] == ["ar", "sw", "ar"] * 3


def test_default_languages_are_espeaks_and_pronounce_their_words():
    assert set(PSEUDO_LANGUAGES) <= set(languages())
    seconds = {word.label: speak(word.text, word.language)[0].size / 22050 for word in pseudo_words(96)}
    # Two or three syllables; spelling letters out by name would take several seconds.
    assert all(0.2 < value < 1.8 for value in seconds.values())


@pytest.mark.parametrize(
    ("language", "first", "last"),
    [("ar", "\u0600", "\u06ff"), ("ru", "а", "я"), ("hi", "\u0900", "\u097f"), ("ja", "ぁ", "ん"), ("sw", "a", "z")],
)
def test_words_are_in_the_script_of_the_language(language, first, last):
    assert all(first <= letter <= last for word in pseudo_words(20, (language,)) for letter in word.text)


def test_pinyin_words_are_syllables_with_tones():
    for word in pseudo_words(50, ("cmn-latn-pinyin",), syllables=(2, 2)):
        first, second = word.text.split()
        assert first[-1] in "1234" and second[-1] in "1234" and first[:-1].isalpha() and second[:-1].isalpha()


def test_excluded_words_never_appear():
    free = pseudo_words(300, ("sw", "cmn-latn-pinyin", "ar"), syllables=(2, 2))
    excluded = [word.text for word in free[::7]]
    kept = pseudo_words(300, ("sw", "cmn-latn-pinyin", "ar"), syllables=(2, 2), exclude=excluded)
    forbidden = [letters(text) for text in excluded]
    assert len(kept) == 300 and not any(bad in letters(word.text) for word in kept for bad in forbidden)
    # Words that were allowed before and after are the same: excluding one word moves no other.
    assert len(set(free) & set(kept)) > 200


@pytest.mark.parametrize(
    ("text", "excluded"),
    [("shu4 zi4", "shuzi"), ("SHU1ZI3", "shu4 zi4"), ("ma shu4 zi4", "shuzi"), ("مَكْتَبْ", "مكتب"), ("Médico", "medico")],
)
def test_exclusion_ignores_case_tones_accents_and_spaces(text, excluded):
    assert contains_excluded(text, [excluded])
    assert not contains_excluded(text, ["zushi", "كتم", "tomedi"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count=0"),
        ({"count": 5, "languages": ()}, "one language or more"),
        ({"count": 5, "syllables": (3, 2)}, r"syllables=\(3, 2\)"),
        ({"count": 5000, "languages": ("sw",), "syllables": (1, 1)}, "found no new pseudo-word.*fewer words"),
        ({"count": 5, "exclude": ("7",)}, "no letters"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pseudo_words(**arguments)


def test_embedded_corpus_shares_no_word_meaning_or_speaker_between_splits(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxmeta.data.synthesis.speech._write_chunk", _touch)
    columns = read_manifest(embedded_corpus(tmp_path / "corpus", pseudo=20, exclude=["music"], workers=1)).columns
    assert (columns["split"] == columns["word_split"]).all()
    labels, speakers, texts, meanings = [], [], [], []
    for name in ("train", "val", "test"):
        rows = columns["split"] == name
        labels.append(set(columns["label"][rows]))
        speakers.append(set(columns["speaker"][rows]))
        texts.append({letters(text) for text in columns["transcription"][rows]})
        meanings.append({label.split("_")[1] for label in labels[-1] if not label.startswith("pseudo")})
        # Five shots and fifteen queries of every word.
        counts = {label: (columns["label"][rows] == label).sum() for label in labels[-1]}
        assert min(counts[label] for label in counts if not label.startswith("pseudo")) >= 20
    for kind in (labels, speakers, texts, meanings):
        assert [len(a & b) for a, b in zip(kind, kind[1:] + kind[:1], strict=True)] == [0, 0, 0]
    assert sum(label.startswith("pseudo") for label in labels[0]) == 20 and "music" not in set().union(*meanings)


def _touch(root, utterances, sample_rate):
    for row in utterances:
        (root / row.file_name).parent.mkdir(parents=True, exist_ok=True)
        (root / row.file_name).write_bytes(b"-")
    return len(utterances)
