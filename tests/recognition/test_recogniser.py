"""A recogniser's folder: what is written is read, and what does not belong there is refused."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxmeta.bundle import BundleError
from jaxmeta.compress.channels import channel_masks, shrink
from jaxmeta.compress.coupled import recogniser_groups
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.recognition.recogniser import Recogniser, load_recogniser, save_recogniser
from jaxmeta.types import Ragged


@pytest.fixture
def folder(recogniser, tmp_path):
    return save_recogniser(tmp_path / "kept", recogniser)


def test_a_folder_gives_back_the_card_the_vocabulary_and_every_bit_of_the_weights(recogniser, folder):
    read = load_recogniser(folder)
    assert read.card == recogniser.card and read.vocabulary == recogniser.vocabulary
    jax.tree.map(np.testing.assert_array_equal, read.params, recogniser.params)
    assert read.fold("AB") == "ab"


def test_a_recogniser_whose_channels_were_pruned_comes_back_as_small(recogniser, tmp_path):
    groups = recogniser_groups(recogniser.params)
    params, widths = shrink(recogniser.params, channel_masks(recogniser.params, groups, 0.5), groups)
    small = Recogniser(
        replace(recogniser.card, options=recogniser.card.options | {"widths": dict(widths)}),
        recogniser.vocabulary,
        params,
    )
    read = load_recogniser(save_recogniser(tmp_path / "small", small))
    assert read.card == small.card
    speech = Ragged(np.ones((1, 24, 16), np.float32), np.full(1, 24, np.int32))
    logits, _ = jax.jit(lambda params: read.model.apply(params, {}, speech, jax.random.key(0), False))(read.params)
    assert logits.values.shape == (1, 6, recogniser.vocabulary.size)
    assert sum(leaf.size for leaf in jax.tree.leaves(read.params)) < 0.7 * sum(
        leaf.size for leaf in jax.tree.leaves(recogniser.params)
    )


def test_a_folder_without_a_card_is_no_recogniser(tmp_path):
    with pytest.raises(BundleError, match=r"card.json is missing"):
        load_recogniser(tmp_path)


def test_the_vocabulary_of_another_recogniser_is_refused_even_if_as_large(folder):
    build_vocabulary(["abc"]).save(folder / "vocabulary.json")
    with pytest.raises(BundleError, match=r"vocabulary.json: damaged, or changed since it was written"):
        load_recogniser(folder)


def test_the_weights_of_another_recogniser_are_refused(recogniser, folder, tmp_path):
    other = recogniser._replace(params=jax.tree.map(lambda leaf: 2 * leaf, recogniser.params))
    (save_recogniser(tmp_path / "other", other) / "weights.npz").replace(folder / "weights.npz")
    with pytest.raises(BundleError, match=r"weights.npz: damaged, or changed since it was written"):
        load_recogniser(folder)
