"""The compression experiment: what is trained again and from where, what is measured, and how it is shown."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.compress.recipes import PLANS, Training
from experiments.compress.report import measured, plot, show
from experiments.compress.variants import variants
from jaxmeta import Model, protonet
from jaxmeta.compress.channels import ChannelGroup, Part
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.evaluation.embeddings import SHOTS, WAYS, accuracies, embed
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import accuracy
from jaxmeta.models.words import residual
from jaxmeta.training import make_evaluate

EARLY = {"first": jnp.full((2, 4), 9.0), "second": jnp.full((4, 3), 9.0)}
DENSE = {"first": jnp.array([[8.0, 0.1, 4.0, -2.0]] * 2), "second": jnp.arange(12.0).reshape(4, 3) + 1}


class Chain:
    """A system whose training subtracts 1 from every weight, once, behind what is given."""

    name, inputs = "chain", None

    def __init__(self):
        self.trained, self.fingerprints = {}, {}

    def build(self, **network):
        return Model(lambda key, inputs: (DENSE, {}), lambda params, state, inputs, key, train: (network, state))

    def groups(self, params):
        parts = Part("first", 1, np.arange(4)[:, None]), Part("second", 0, np.arange(4)[:, None])
        return [ChannelGroup("hidden", parts)]

    def train(self, name, start=None, behind=None, network=None, config=None):
        self.trained[name] = start
        if name in ("early", "dense"):
            return EARLY if name == "early" else DENSE
        optimizer = optax.chain(optax.sgd(1.0), behind or optax.identity())
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
    return system, *measured(system, variants(system, Training((0.5,), (0.5,))))


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
    one = found["50% of channels cut, rewound"]
    assert one.params["first"].shape == (2, 2) and one.params["second"].shape == (2, 3)
    assert one.model.apply({}, {}, None, None, False)[0] == {"widths": {"hidden": 2}}


def test_the_table_says_sizes_changes_and_both_orders(chain):
    _, rows, found = chain
    sizes = {row["compressed"]: row["bytes"] for row in rows}
    # 20 weights; codes of 8 and 4 bits, a scale for each of 4 + 3 channels or of 2 leaves, and codes of 0, which are 0:
    # a bit each.
    assert sizes["float32"] == 80 and sizes["bfloat16"] == 40
    assert sizes["int8"] == 20 + 7 * 4 + 2 and sizes["int4, a scale a leaf"] == 10 + 2 * 4 + 2
    assert sizes["50% of weights cut"] == 1 + 2 + 40  # a bit each, and ten weights
    assert sizes["50% of channels cut, rewound"] == 40
    lines = show(rows).splitlines()
    assert len(lines) == 2 + len(found)
    assert "| chain, t | float32 | 0.1 | 1.00 | 1.0 | 106.2 ± 0.5 | +0.0 ± 0.1 | 0.1 | 2.0 ± 0.2 |" in lines
    assert any(line.startswith("| chain, t | 50% of weights cut, rewound, int8") and "–" in line for line in lines)


def test_there_is_a_picture_for_each_network(chain, tmp_path):
    _, rows, _ = chain
    plot(tmp_path, rows)
    assert (tmp_path / "chain_t.png").stat().st_size > 10_000


def spoken():
    """25 recordings of each of six words, of several lengths, in noise as loud as they are."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(9, 14, 150).astype(np.int32)
    start = np.r_[0, lengths.cumsum()[:-1]]
    word = np.repeat(np.arange(6), 25)
    sounds = rng.normal(size=(6, 14, 8))
    frames = np.concatenate([sounds[w, :n] + rng.normal(size=(n, 8)) for w, n in zip(word, lengths, strict=True)])
    names, speakers = np.arange(150).astype(str), np.tile(np.arange(5), 30).astype(str)
    columns = {"file_name": names, "label": word.astype(str), "speaker": speakers}
    return Corpus(frames.astype(np.float32), start, lengths, columns)


def test_embeddings_give_the_accuracies_of_the_learner_itself():
    corpus, model = spoken(), residual(width=8, frames=8)
    sampler = episode_sampler(corpus, ways=WAYS, shots=SHOTS, queries=15, tasks=25, seed=3, buckets=2)
    params, _ = jax.jit(model.init)(jax.random.key(0), jax.tree.map(lambda leaf: leaf[0], sampler(0)).support.inputs)
    found = embed(model, params, corpus)
    assert found.shape == (150, 32)
    run = jax.jit(make_evaluate(protonet(model, cross_entropy, WAYS), {"accuracy": accuracy}))
    expected = run(params, {}, sampler(0), jax.random.key(0))["accuracy"]
    # Prototypes in float16 may change the answer to a query of 75 here and there.
    np.testing.assert_allclose(accuracies(corpus, found, found, 3, 25), expected, atol=0.014)
    assert 0.25 < expected.mean() < 1  # of chance, 0.2


def test_a_full_plan_prunes_what_the_target_asks_for():
    assert 0.8 in PLANS["full"].words_again.sparse and 0.8 in PLANS["full"].speech_again.sparse
