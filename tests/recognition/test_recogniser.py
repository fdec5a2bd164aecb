"""A recogniser's folder: what is written is read, and what does not belong there is refused."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxmeta.compress.channels import channel_masks, shrink
from jaxmeta.compress.coupled import recogniser_groups
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.recognition.recogniser import Recogniser, RecogniserError, load_recogniser, save_recogniser
from jaxmeta.types import Ragged


@pytest.fixture
def folder(one, tmp_path):
    return save_recogniser(tmp_path / "kept", one)


def test_a_folder_gives_back_the_card_the_vocabulary_and_every_bit_of_the_weights(one, folder):
    read = load_recogniser(folder)
    assert read.card == one.card and read.vocabulary == one.vocabulary
    jax.tree.map(np.testing.assert_array_equal, read.params, one.params)
    assert read.fold("AB") == "ab"


def test_a_recogniser_whose_channels_were_pruned_comes_back_as_small(one, tmp_path):
    groups = recogniser_groups(one.params)
    params, widths = shrink(one.params, channel_masks(one.params, groups, 0.5), groups)
    small = Recogniser(replace(one.card, widths=dict(widths)), one.vocabulary, params)
    read = load_recogniser(save_recogniser(tmp_path / "small", small))
    assert read.card == small.card
    speech = Ragged(np.ones((1, 24, 16), np.float32), np.full(1, 24, np.int32))
    logits, _ = jax.jit(lambda params: read.model.apply(params, {}, speech, jax.random.key(0), False))(read.params)
    assert logits.values.shape == (1, 6, one.vocabulary.size)
    assert sum(leaf.size for leaf in jax.tree.leaves(read.params)) < 0.7 * sum(
        leaf.size for leaf in jax.tree.leaves(one.params)
    )


def test_a_folder_without_a_card_is_no_recogniser(tmp_path):
    with pytest.raises(RecogniserError, match=r"card.json is missing"):
        load_recogniser(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "something else"}, "is a 'something else' of format 1"),
        ({"format": 9}, "of format 9"),
        ({"features": {"kind": "tune"}}, "FeatureConfig.kind"),
        ({"size": 3}, "not a recogniser's card"),
    ],
)
def test_a_card_of_another_kind_is_refused(folder, change, message):
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        load_recogniser(folder)


def test_a_vocabulary_that_is_not_that_of_the_weights_is_refused_even_if_as_large(folder):
    build_vocabulary(["abc"]).save(folder / "vocabulary.json")
    with pytest.raises(RecogniserError, match="not the vocabulary that the weights were trained with"):
        load_recogniser(folder)


def test_weights_of_another_network_are_refused(folder):
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"size": [24, 1]}))
    with pytest.raises(RecogniserError, match="do not fit"):
        load_recogniser(folder)


def test_damaged_weights_are_refused(folder):
    largest = max((folder / "weights").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    with pytest.raises(RecogniserError, match="damaged"):
        load_recogniser(folder)


def test_missing_weights_are_refused(folder):
    (folder / "weights").rename(folder / "elsewhere")
    with pytest.raises(RecogniserError, match="weights holds nothing"):
        load_recogniser(folder)
