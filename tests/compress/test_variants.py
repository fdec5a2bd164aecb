"""What is trained again and from where, what is cut, and the sizes of what is stored."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Model
from jaxmeta.compress.channels import ChannelGroup, Part
from jaxmeta.compress.latency import time_in_turns
from jaxmeta.compress.variants import compare, variants

EARLY = {"first": jnp.full((2, 4), 9.0), "second": jnp.full((4, 3), 9.0)}
DENSE = {"first": jnp.array([[8.0, 0.1, 4.0, -2.0]] * 2), "second": jnp.arange(12.0).reshape(4, 3) + 1}


class Chain:
    """A network whose training subtracts 1 from every weight, once, through what is given."""

    inputs = None

    def __init__(self):
        self.trained = {}

    def build(self, **options):
        return Model(lambda key, inputs: (DENSE, {}), lambda params, state, inputs, key, train: (options, state))

    def groups(self, params):
        parts = Part("first", 1, np.arange(4)[:, None]), Part("second", 0, np.arange(4)[:, None])
        return [ChannelGroup("hidden", parts)]

    def train(self, name, start=None, update_transform=None, options=None, config=None):
        self.trained[name] = start
        if name in ("early", "dense"):
            return EARLY if name == "early" else DENSE
        optimizer = optax.chain(optax.sgd(1.0), update_transform or optax.identity())
        updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, start), optimizer.init(start), start)
        return optax.apply_updates(start, updates)

    def measure(self, variant, dense):
        size = float(sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(variant.params)))
        row = {"test": "t", "before": 1.0, "after": size, "after_half": 0.5, "change": 0.0, "change_half": 0.1}
        extra = {"reversed": 2.0, "reversed_half": 0.2} if variant.compress else {}
        return [row | {"user_bytes": 100} | extra]


@pytest.fixture(scope="module")
def chain():
    system = Chain()
    return system, *compare("chain", system, variants(system, sparse=(0.5,), channels=(0.5,)))


@pytest.mark.slow
def test_pruned_networks_go_back_to_early_weights_and_what_is_cut_stays_zero(chain):
    system, _, found = chain
    assert jax.tree.all(jax.tree.map(jnp.array_equal, system.trained["dense"], EARLY))
    cut = jax.tree.map(lambda leaf: leaf == 0, found["50% of weights cut"].params)
    start = system.trained["sparse_0.5"]
    for leaf, zero in zip(jax.tree.leaves(start), jax.tree.leaves(cut), strict=True):
        np.testing.assert_array_equal(leaf, np.where(zero, 0, 9))
    for leaf, zero in zip(
        jax.tree.leaves(found["50% of weights cut, rewound"].params), jax.tree.leaves(cut), strict=True
    ):
        np.testing.assert_array_equal(leaf, np.where(zero, 0, 8))
    assert sum(int(zero.sum()) for zero in jax.tree.leaves(cut)) == 10


def test_channels_are_cut_from_the_arrays_and_from_the_network(chain):
    _, _, found = chain
    variant = found["50% of channels cut, rewound"]
    assert variant.params["first"].shape == (2, 2) and variant.params["second"].shape == (2, 3)
    assert variant.model.apply({}, {}, None, None, False)[0] == {"widths": {"hidden": 2}}


def test_rows_have_the_sizes_of_what_is_stored(chain):
    _, rows, _ = chain
    sizes = {row["compressed"]: row["bytes"] for row in rows}
    # 20 weights; codes of 8 and 4 bits, a scale for each of 4 + 3 channels or of 2 leaves, and codes of 0, which are 0:
    # a bit each.
    assert sizes["float32"] == 80 and sizes["bfloat16"] == 40
    assert sizes["int8"] == 20 + 7 * 4 + 2 and sizes["int4, a scale a leaf"] == 10 + 2 * 4 + 2
    assert sizes["50% of weights cut"] == 1 + 2 + 40  # a bit each, and ten weights
    assert sizes["50% of channels cut, rewound"] == 40


def test_runs_take_turns_after_one_that_compiles():
    calls = []
    times = time_in_turns({name: lambda name=name: calls.append(name) for name in "ab"}, turns=3)
    assert calls == list("ab" * 4) and {name: len(each) for name, each in times.items()} == {"a": 3, "b": 3}
