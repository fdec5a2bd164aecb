"""Vocabularies: classes of characters and words, in any script, and back; files that are whole or refused."""

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmeta.data.vocabulary import Vocabulary, build_vocabulary, load_vocabulary, normalise
from jaxmeta.files.sealed import write_sealed

quick = settings(max_examples=60, deadline=None, derandomize=True)
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=6)


def where(row):
    return f"row {row}"


def test_unit_i_is_class_i_plus_1_and_class_0_is_kept_free():
    vocabulary = build_vocabulary(["BA", "AC A"])
    assert vocabulary.units == (" ", "A", "B", "C") and vocabulary.size == 5
    assert vocabulary.encode("CAB").tolist() == [4, 2, 3] and vocabulary.encode("CAB").dtype == np.int32
    assert vocabulary.decode([4, 2, 1, 3]) == "CA B"


def test_case_is_kept():
    assert build_vocabulary(["aA"]).units == ("A", "a")


@quick
@given(texts)
def test_every_text_comes_back_normalised(written):
    if not any(normalise(text) for text in written):
        return
    vocabulary = build_vocabulary(written)
    for text in written:
        assert vocabulary.decode(vocabulary.encode(text)) == normalise(text)


@quick
@given(st.text(max_size=20))
def test_normalised_text_is_composed_single_spaced_and_stays_as_it_is(text):
    plain = normalise(text)
    assert normalise(plain) == plain == unicodedata.normalize("NFC", plain)
    assert "  " not in plain and plain == plain.strip() and not set("\t\n\r\u3000\u00a0") & set(plain)


def test_composed_and_decomposed_letters_are_one_unit():
    assert build_vocabulary(["e\u0301", "\u00e9"]).units == ("\u00e9",)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("كِتاب", ("ا", "ب", "ت", "ك", "\u0650")),  # Kasra has no composed form.
        ("中国中", ("中", "国")),
        ("x\u0308\u0323", ("x", "\u0308", "\u0323")),
    ],
)
def test_scripts_and_marks_that_do_not_compose(text, units):
    vocabulary = build_vocabulary([text])
    assert set(vocabulary.units) == set(unicodedata.normalize("NFC", text)) and len(vocabulary.units) <= len(units)
    assert vocabulary.decode(vocabulary.encode(text)) == unicodedata.normalize("NFC", text)
    if "x" not in text:
        assert vocabulary.units == units


def test_words_are_split_at_spaces():
    vocabulary = build_vocabulary(["set  lamp", "lamp on "], level="word")
    assert vocabulary.units == ("lamp", "on", "set")
    assert vocabulary.encode("on\tlamp").tolist() == [2, 1] and vocabulary.decode([3, 1]) == "set lamp"


def test_rows_are_padded_with_0_to_a_multiple_of_eight():
    values, lengths = build_vocabulary(["abc"]).encode_rows(["abc", "b", "abcabcabc"], where)
    assert values.shape == (3, 16) and values.dtype == lengths.dtype == np.int32
    assert lengths.tolist() == [3, 1, 9]
    assert values[1].tolist() == [2] + [0] * 15 and values[2, :9].tolist() == [1, 2, 3] * 3 and not values[2, 9:].any()


def test_an_unknown_character_is_named_with_its_code_point_and_row():
    vocabulary = build_vocabulary(["abc"])
    with pytest.raises(ValueError, match=r"'añb' has 'ñ' \(U\+00F1\), which is not among the 3 units"):
        vocabulary.encode("añb")
    with pytest.raises(ValueError, match=r"row 1: 'd' has 'd' \(U\+0064\)"):
        vocabulary.encode_rows(["a", "d"], where)
    with pytest.raises(ValueError, match="row 2: the text is empty"):
        vocabulary.encode_rows(["a", "b", " "], where)
    with pytest.raises(ValueError, match="'two' has 'two', which"):
        build_vocabulary(["one"], level="word").encode("two")


@pytest.mark.parametrize("labels", [[1, 0], [4], [-1]])
def test_a_class_that_is_no_unit_is_refused(labels):
    with pytest.raises(ValueError, match=rf"labels has {labels[-1]}, which is not in \[1, 4\)"):
        build_vocabulary(["abc"]).decode(labels)


@pytest.mark.parametrize(
    ("units", "level", "message"),
    [
        ((), "character", "units is empty"),
        (("a", "b", "a"), "character", r"units has 'a' \(U\+0061\) twice"),
        (("ab",), "character", "units has 'ab', which is no character"),
        (("\u212b",), "character", r"units has '\u212b' \(U\+212B\)"),  # Angstrom: NFC makes it Å.
        (("\u00a0",), "character", "which is no character"),
        (("a b",), "word", "units has 'a b', which is no word"),
        (("",), "word", "units has '', which is no word"),
        (("a",), "syllable", "level='syllable' must be"),
    ],
)
def test_units_that_no_text_has_are_refused(units, level, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(units, level)


def test_texts_without_characters_build_nothing():
    with pytest.raises(ValueError, match="units is empty"):
        build_vocabulary(["", " \n"])


@pytest.mark.parametrize("level", ["character", "word"])
def test_a_saved_vocabulary_comes_back(tmp_path, level):
    vocabulary = build_vocabulary(["شكرا you", "中 \u0650"], level=level)
    path = tmp_path / "vocabulary.json"
    vocabulary.save(path)
    assert load_vocabulary(path) == vocabulary
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["sha256"]
    assert content == {"format": 2, "level": level, "units": list(vocabulary.units)}
    assert [actual.name for actual in tmp_path.iterdir()] == ["vocabulary.json"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "vocabulary.json"
    build_vocabulary(["a"]).save(path)
    monkeypatch.setattr("jaxmeta.data.vocabulary.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        build_vocabulary(["b"]).save(path)
    assert load_vocabulary(path).units == ("a",) and len(list(tmp_path.iterdir())) == 1


def fail(_):
    raise OSError("disk full")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ('{"format": 1, "lev', "not JSON"),
        ("\udcff", "not JSON"),
        ("[]", "must be an object"),
        ('{"format": 2, "level": "character", "units": ["a"]}', "damaged, changed by hand"),
        ({"format": 1}, '"format": 2'),
        ({"format": 2, "level": "character", "units": "abc"}, '"units" must be a list'),
        ({"format": 2, "level": "character", "units": [1]}, '"units" must be a list'),
        ({"format": 2, "level": "character", "units": ["a", "a"]}, "twice"),
        ({"format": 2, "units": ["a"]}, "level=None must be"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, message):
    path = tmp_path / "vocabulary.json"
    if isinstance(content, dict):
        write_sealed(path, "vocabulary", content)
    elif content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=rf"vocabulary\.json: .*{message}"):
        load_vocabulary(path)


def test_rows_are_decoded_up_to_their_lengths():
    vocabulary = build_vocabulary(["ab c"])
    texts = ["cab", "a", "b c"]
    assert vocabulary.decode_rows(vocabulary.encode_rows(texts, str)) == texts
