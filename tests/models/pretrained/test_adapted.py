"""A head and low-rank adapters on a frozen encoder."""

import functools

import jax
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, Ragged, check_estimator, maml
from jaxmeta.models.acoustic import Size
from jaxmeta.models.low_rank import is_adapter, merged
from jaxmeta.models.pretrained.adapted import adapted, ctc_head, is_layer_matrix, new_adapters
from jaxmeta.models.pretrained.wav2vec2 import wav2vec2
from jaxmeta.models.pretrained.whisper import whisper_encoder
from jaxmeta.sequence_losses import ctc
from jaxmeta.tree import named
from tests.models.pretrained.checkpoints import (
    WAV2VEC2,
    WHISPER,
    log_mels,
    random_wav2vec2,
    random_whisper,
    wav2vec2_config,
    whisper_config,
)
from tests.programs import compiled

LINEAR = Model(
    lambda key, frames: ({"kernel": jax.random.normal(key, (frames.values.shape[-1], 4))}, {}),
    lambda params, state, frames, key, train: (frames._replace(values=frames.values @ params["kernel"]), state),
)
"""The smallest head: logits of four classes for each frame."""


def part_of(kind):
    """The upper layer of an encoder, its params, and activations for it."""
    if kind == "whisper":
        encoder, base = whisper_encoder(whisper_config(WHISPER), first=1), random_whisper(WHISPER)["encoder"]
    else:
        config = WAV2VEC2 | {"model_type": kind, "num_buckets": 8, "max_bucket_distance": 20}
        encoder, base = wav2vec2(wav2vec2_config(config), first=1), random_wav2vec2(config)
    frames = log_mels([6, 9], 16)
    return encoder, base, frames._replace(values=np.nan_to_num(frames.values))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whisper", "hubert", "wavlm"])
def test_adapters_do_what_their_products_do_inside_of_the_matrices(kind):
    encoder, base, frames = part_of(kind)
    model = adapted(encoder, base, LINEAR, rank=2)
    params, state = compiled(model.init)(jax.random.key(0), frames)
    assert state == {} and set(params) == {"head", "adapters"}
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32) / 4, params["adapters"])
    params["adapters"] = drawn
    actual, _ = compiled(model.apply, static_argnums=4)(params, {}, frames, jax.random.key(1), False)
    inside = merged({"weights": base, "adapters": params["adapters"]})
    expected = compiled(encoder.apply, static_argnums=4)(inside, {}, frames, jax.random.key(1), False)[0]
    for row, length in enumerate((6, 9)):
        logits = np.asarray(expected.values[row, :length]) @ np.asarray(params["head"]["kernel"])
        assert np.isfinite(logits).all()
        np.testing.assert_allclose(actual.values[row, :length], logits, atol=1e-4)


@pytest.mark.slow
def test_the_base_has_no_gradients_and_adapters_change_nothing_at_first():
    encoder, base, frames = part_of("whisper")
    half = jax.tree.map(lambda leaf: leaf.astype(np.float16), base)
    models = [adapted(encoder, half, LINEAR, rank) for rank in (0, 2)]
    params = compiled(models[1].init)(jax.random.key(0), frames)[0]
    # Six matrices of the upper layer, none of the lower.
    assert len(params["adapters"]) == 6 and all(name.startswith("layers_1/") for name in params["adapters"])
    outputs = [
        compiled(model.apply, static_argnums=4)(params, {}, frames, jax.random.key(1), False)[0].values
        for model in models
    ]
    np.testing.assert_array_equal(*outputs)

    def loss(params):
        return (models[1].apply(params, {}, frames, jax.random.key(1), True)[0].values ** 2).sum()

    gradients = named(compiled(jax.grad(loss))(params))
    assert gradients.keys() == named(params).keys()
    # The products are zero because of "up", which learns first.
    assert not any(np.any(leaf) for name, leaf in gradients.items() if name.endswith("down"))
    assert np.any(gradients["adapters/layers_1/fc1/kernel/up"]) and np.any(gradients["head/kernel"])


@pytest.mark.slow
def test_mixed_mode_is_exact_through_adapters_and_ctc():
    encoder, base, _ = part_of("whisper")
    frames = Ragged(log_mels([6, 6], 16).values, np.array([6, 5], np.int32))
    labels = Ragged(np.array([[1, 2], [3, 0]], np.int32), np.array([2, 1], np.int32))
    batch, model = Batch(frames, labels, np.ones(2, np.float32)), adapted(encoder, base, LINEAR, rank=2)
    learner = functools.partial(maml, model, ctc, optax.sgd(0.1), 2, adapt_only=is_adapter)
    rng = np.random.default_rng(1)
    params, state = compiled(model.init)(jax.random.key(0), frames)
    params = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), params)
    assert check_estimator(learner, Episode(batch, batch), params=params, state=state) == {}


def test_matrices_of_layers_are_those_that_get_adapters():
    weights = {"conv1": {"kernel": np.zeros((3, 4, 4))}, "layers_0": {"fc1": {"kernel": np.zeros((4, 6))}}}
    adapters = new_adapters(weights, 2, jax.random.key(0))
    assert list(adapters) == ["layers_0/fc1/kernel"]
    own = adapters["layers_0/fc1/kernel"]
    assert own["down"].shape == (4, 2) and own["up"].shape == (2, 6) and not np.any(own["up"])
    assert not is_layer_matrix("feature_extractor/conv_layers_0/conv/kernel")


@pytest.mark.slow
def test_a_head_halves_the_frame_rate_and_does_not_see_padding():
    head = ctc_head(5, "dnn", Size(16, 1))
    long, short = log_mels([9, 4], 6), log_mels([9, 4], 6)
    cut = Ragged(short.values[1:, :4], short.lengths[1:])
    params = compiled(head.init)(jax.random.key(0), long)[0]
    apply = compiled(head.apply, static_argnums=4)
    both, alone = (apply(params, {}, each, jax.random.key(1), False)[0] for each in (long, cut))
    assert both.lengths.tolist() == [5, 2] and both.values.shape == (2, 5, 5)
    np.testing.assert_allclose(both.values[1, :2], alone.values[0, :2], atol=1e-5)
