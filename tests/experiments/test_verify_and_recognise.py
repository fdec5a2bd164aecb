"""The experiment on speakers and words: what it needs."""

import pytest

from experiments.verify_and_recognise.data import recorded


def test_a_folder_without_the_corpora_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXMETA_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="lacks zh_en_words, ar_commands"):
        recorded(10, 0)
