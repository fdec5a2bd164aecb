"""JSON files that know their own content."""

import json

import numpy as np
import pytest

from jaxmeta.files.cards import CardError
from jaxmeta.files.sealed import read_sealed, write_sealed

VALUE = {"step": 12, "score": float("nan"), "names": ["é", "b"], "sums": np.arange(2)}


def test_what_is_written_comes_back_as_json_has_it(tmp_path):
    write_sealed(tmp_path / "a.json", "best", VALUE)
    expected = {"step": 12, "score": "NaN", "names": ["é", "b"], "sums": [0, 1]}
    assert read_sealed(tmp_path / "a.json", "best", "") == expected
    assert json.loads((tmp_path / "a.json").read_text("utf-8")).keys() == {*expected, "sha256"}


def test_spaces_and_the_order_of_keys_are_nothing_that_a_file_says(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, "best", {"step": 12, "score": 0.5})
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert read_sealed(path, "best", "") == {"step": 12, "score": 0.5}


@pytest.mark.parametrize(
    ("before", "after"),
    [("12", "13"), ("step", "stop"), ('"sha256"', '"sha255"'), ("}", ""), ("{", "["), ("0.5", "NaN")],
)
def test_what_has_changed_is_refused_with_file_and_remedy(tmp_path, before, after):
    path = tmp_path / "best.json"
    write_sealed(path, "best", {"step": 12, "score": 0.5})
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(CardError, match=r"^/.*best\.json: .*; delete it\.$"):
        read_sealed(path, "best", "delete it")


def test_a_file_of_another_kind_does_not_stand_for_it(tmp_path):
    write_sealed(tmp_path / "a.json", "health", {"step": 12})
    with pytest.raises(CardError, match="sha256 is not right"):
        read_sealed(tmp_path / "a.json", "best", "delete it")
