"""One text in several forms is one text, and a long cell does not make a column wide."""

import tracemalloc
import unicodedata

import numpy as np
import pytest

from jaxmeta.data.text import canonical, column, joined, on_disk

ACCENTED = ["café", "José", "नि", "한국어", "ö", "Å"]


@pytest.mark.parametrize("text", ACCENTED)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("around", ["{}", " {}", "{}\u00a0", "\t{} "])
def test_forms_of_a_text_are_one(text, form, around):
    assert canonical(around.format(unicodedata.normalize(form, text))) == unicodedata.normalize("NFC", text)


def test_a_column_holds_texts_in_one_form():
    words = column([unicodedata.normalize(form, word) for word in ACCENTED for form in ("NFC", "NFD")])
    assert len(np.unique(words)) == len(ACCENTED)


def test_one_long_cell_costs_its_own_length_only():
    tracemalloc.start()
    try:
        cells = ["x" * 200_000, *(f"word {i}" for i in range(20_000))]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        held = joined([column(cells), column(cells)])
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # As wide as the longest: 20,001 rows * 200,000 characters * 4 bytes = 16 GB, and twice that joined.
    assert peak < 20e6
    assert held.shape == (40_002,) and held.tolist() == cells * 2
    assert np.isin(held, ["word 7"]).sum() == 2 and len(np.unique(held)) == 20_001


def test_short_columns_are_fields_of_fixed_width():
    assert column(["a", "bcd"]).dtype == np.dtype("U3") and column([]).dtype.kind == "U"
    assert column(range(3)).tolist() == ["0", "1", "2"]


@pytest.mark.parametrize(("stored", "asked"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_file_is_found_under_another_form_of_its_name(tmp_path, stored, asked):
    name = "Zoë/é1.wav"
    path = tmp_path / unicodedata.normalize(stored, name)
    path.parent.mkdir()
    path.write_bytes(b"x")
    meant = on_disk(tmp_path / unicodedata.normalize(asked, name))
    assert meant == str(path) and on_disk(path) == str(path)
    missing = str(tmp_path / "Zoë" / "e1.wav")
    assert on_disk(missing) == missing
