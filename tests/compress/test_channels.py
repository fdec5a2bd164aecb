"""Structured pruning: smaller arrays compute what the masked network does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Ragged
from jaxmeta.compress.channels import ChannelGroup, Part, channel_masks, shrink
from jaxmeta.compress.coupled import recogniser_groups, word_groups
from jaxmeta.compress.prune import hold, masked
from jaxmeta.models.acoustic import Size, recogniser
from jaxmeta.models.clip_encoders import conv4, residual
from tests.programs import compiled, jitted

CHAIN = [ChannelGroup("hidden", (Part("first", 1, np.arange(4)[:, None]), Part("second", 0, np.arange(4)[:, None])))]


def chain():
    """Two linear layers with a strong, a weak and two middling channels between."""
    return {
        "first": jnp.array([[3.0, 0.1, 1.0, -1.0]] * 2),
        "second": jnp.array([[3.0], [0.1], [2.0], [1.0]]),
    }


def drawn(model, inputs):
    """Params none of which is 0 or 1, as biases and scales are when they are drawn."""
    params, _ = jitted(model).init(jax.random.key(0), inputs)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return jax.tree.unflatten(
        structure,
        [leaf + 0.3 * jax.random.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves, strict=True)],
    )


def clips(bands):
    lengths = jnp.array([23, 40, 31])
    return Ragged(jax.random.normal(jax.random.key(2), (3, 40, bands)), lengths)


NETWORKS = {
    "residual": (lambda **options: residual(5, width=16, frames=16, **options), word_groups, 16),
    "conv4": (lambda **options: conv4(5, width=8, frames=16, **options), word_groups, 16),
    **{
        name: (lambda name=name, **options: recogniser(7, name, Size(16, 2), **options), recogniser_groups, 8)
        for name in ("dnn", "gru", "lstm", "conformer")
    },
}


@pytest.mark.parametrize(
    "name", [name if name == "conv4" else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_the_shrunk_network_computes_what_the_masked_one_does(name):
    build, groups_of, bands = NETWORKS[name]
    with jax.enable_x64(True):
        inputs = clips(bands)
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), drawn(build(), inputs))
        groups = groups_of(params)
        masks = channel_masks(params, groups, 0.6)
        small, widths = shrink(params, masks, groups)

        def outputs(model, params):
            actual, _ = jitted(model).apply(params, {}, inputs, jax.random.key(0), False)
            return actual.values if isinstance(actual, Ragged) else actual

        expected = outputs(build(), masked(params, masks))
        np.testing.assert_allclose(outputs(build(widths=widths), small), expected, rtol=0, atol=1e-12)
        assert np.abs(expected - outputs(build(), params)).max() > 1e-3
    before, after = (sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (params, small))
    kept = sum(int(mask.sum()) for mask in jax.tree.leaves(masks))
    assert after == kept < 0.8 * before
    assert set(widths) == {group.name for group in groups}


def test_the_weakest_channels_go_in_all_of_their_parts():
    masks = channel_masks(chain(), CHAIN, 0.5)
    np.testing.assert_array_equal(masks["first"], [[True, False, True, False]] * 2)
    np.testing.assert_array_equal(masks["second"], [[True], [False], [True], [False]])
    small, widths = shrink(chain(), masks, CHAIN)
    assert widths == {"hidden": 2}
    np.testing.assert_array_equal(small["first"], [[3, 1], [3, 1]])
    np.testing.assert_array_equal(small["second"], [[3], [2]])


def test_one_channel_always_stays():
    assert int(channel_masks(chain(), CHAIN, 0.99)["second"].sum()) == 1


def test_nothing_goes_at_no_sparsity():
    small, widths = shrink(chain(), channel_masks(chain(), CHAIN, 0.0), CHAIN)
    assert widths == {"hidden": 4} and small["first"].shape == (2, 4)


@pytest.mark.slow
def test_training_under_hold_leaves_a_network_that_can_be_shrunk():
    inputs = clips(8)
    model = recogniser(7, "gru", Size(16, 1))
    params = drawn(model, inputs)
    groups = recogniser_groups(params)
    masks = channel_masks(params, groups, 0.5)
    optimizer = optax.chain(optax.adam(1e-2), hold(masks))
    trained = masked(params, masks)
    slots = optimizer.init(trained)

    def loss(params):
        return jnp.square(model.apply(params, {}, inputs, jax.random.key(0), True)[0].values).mean()

    @compiled
    def step(params, slots):
        updates, slots = optimizer.update(jax.grad(loss)(params), slots, params)
        return optax.apply_updates(params, updates), slots

    for _ in range(3):
        trained, slots = step(trained, slots)
    small, widths = shrink(trained, masks, groups)
    apply = jitted(recogniser(7, "gru", Size(16, 1), widths=widths)).apply
    expected = jitted(model).apply(trained, {}, inputs, jax.random.key(0), False)[0].values
    np.testing.assert_allclose(apply(small, {}, inputs, jax.random.key(0), False)[0].values, expected, atol=1e-5)
    before = compiled(loss)(masked(params, masks))
    assert float(compiled(loss)(trained)) < float(before)


def test_what_cannot_be_pruned_is_said():
    with pytest.raises(ValueError, match=r"sparsity must lie in \[0, 1\), got 1"):
        channel_masks(chain(), CHAIN, 1)
    with pytest.raises(ValueError, match="groups name second, which is none of first"):
        channel_masks({"first": chain()["first"]}, CHAIN, 0.5)
    with pytest.raises(ValueError, match=r"groups do not fit second of shape \(2, 1\)"):
        channel_masks(chain() | {"second": jnp.ones((2, 1))}, CHAIN, 0.5)
    with pytest.raises(ValueError, match="params are no word network's"):
        word_groups(chain())
    with pytest.raises(ValueError, match="params are no recogniser's"):
        recogniser_groups(chain())
    with pytest.raises(ValueError, match="widths needs norm='layer'"):
        residual(5, norm="batch", widths={"Convolution_0": 2})


def test_groups_of_one_name_keep_equally_many():
    masks = channel_masks(chain(), CHAIN, 0.5)
    other = ChannelGroup("hidden", (Part("first", 0, np.arange(2)[:, None]),))
    with pytest.raises(ValueError, match="hidden: its groups keep 2 and 1 channels"):
        shrink(chain(), masks | {"first": masks["first"].at[0].set(False)}, [CHAIN[0], other])
