"""Recognisers whose network is the caller's: the folder names it, the caller says what it is."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Model, Ragged
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.files.cards import CardError
from jaxmeta.recognition.exporting import export_recogniser
from jaxmeta.recognition.recogniser import Recogniser, RecogniserCard, load_recogniser, save_recogniser


def strided(classes, stride):
    """A linear layer on every so many frames."""

    def init(key, inputs):
        return {"head": {"kernel": jnp.ones((inputs.values.shape[-1], classes))}}, {}

    def apply(params, state, inputs, key, train):
        return Ragged(inputs.values[:, ::stride] @ params["head"]["kernel"], -(-inputs.lengths // stride)), state

    return Model(init, apply)


CARD = RecogniserCard("strided", {"stride": 3}, FeatureConfig(n_mels=16, normalize="none"), subsampling=3)
VOCABULARY = build_vocabulary(["ab"])
MINE = Recogniser(CARD, VOCABULARY, {"head": {"kernel": np.ones((16, 3), np.float32)}}, strided)


def test_a_network_of_ones_own_comes_back_with_its_weights(tmp_path):
    back = load_recogniser(save_recogniser(tmp_path / "a", MINE), {"strided": strided})
    assert back.card == CARD
    speech = Ragged(np.arange(112.0).reshape(1, 7, 16), np.full(1, 7, np.int32))
    logits, _ = back.model.apply(back.params, {}, speech, None, False)
    # Frames 0, 3 and 6, each summed over its features, for each class.
    np.testing.assert_allclose(logits.values[0], np.repeat([[120.0], [888.0], [1656.0]], 3, axis=1))
    assert CARD.output_lengths(7) == 3 == int(logits.lengths[0])


def test_a_network_that_nobody_knows_is_refused_with_what_to_do(tmp_path):
    folder = save_recogniser(tmp_path / "a", MINE)
    for builders in ({}, {"other": strided}):
        with pytest.raises(CardError, match=r"builder is 'strided' and must be one of dnn, .*in builders of load_reco"):
            load_recogniser(folder, builders)
    with pytest.raises(ValueError, match=r"builder='strided' is not one of dnn, gru, lstm, conformer; give the func"):
        MINE._replace(builder=None).model  # noqa: B018


def test_networks_of_the_library_cannot_be_replaced(tmp_path):
    with pytest.raises(ValueError, match="builders has 'gru', which is a network of the library"):
        load_recogniser(tmp_path, {"gru": strided})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"subsampling": 2},
            r"16 frames become logits of shape \(1, 6, 3\) instead of \(1, 8, 3\); say in subsampling",
        ),
        ({"features": FeatureConfig(n_mels=17, normalize="none")}, r"head/kernel is float32\[16, 3\] and should be"),
    ],
)
def test_a_card_that_does_not_fit_the_network_is_refused(tmp_path, change, message):
    folder = save_recogniser(tmp_path / "a", MINE._replace(card=replace(CARD, **change)))
    with pytest.raises(ValueError, match=message):
        load_recogniser(folder, {"strided": strided})


def test_a_network_with_a_state_is_refused(tmp_path):
    def counting(classes, stride):
        model = strided(classes, stride)
        return model._replace(init=lambda key, inputs: (model.init(key, inputs)[0], {"count": jnp.zeros(())}))

    folder = save_recogniser(tmp_path / "a", MINE)
    with pytest.raises(CardError, match="the network has a state"):
        load_recogniser(folder, {"strided": counting})
    assert jax.tree.leaves(load_recogniser(folder, {"strided": strided}).params)[0].shape == (16, 3)


def test_weights_that_are_not_finite_are_not_exported(tmp_path):
    broken = MINE._replace(params={"head": {"kernel": np.full((16, 3), np.nan, np.float32)}})
    with pytest.raises(ValueError, match="48 of the 48 weights head/kernel are not finite, so that nothing is written"):
        export_recogniser(broken, tmp_path / "a.safetensors", "safetensors", [])
    assert not list(tmp_path.iterdir())
