"""Low-rank adapters on any model."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, maml
from jaxmeta.losses import cross_entropy
from jaxmeta.models.clip_encoders import conv4
from jaxmeta.models.low_rank import is_adapter, low_rank, with_adapters
from tests.programs import compiled, jitted

KEY = jax.random.key(0)


def linear():
    from jaxmeta import Model

    def init(key, inputs):
        return {"in": {"kernel": jax.random.normal(key, (4, 3, 2))}, "bias": jnp.zeros((3, 2))}, {}

    return Model(
        init, lambda p, s, x, k, t: ((jnp.einsum("ni,ijk->njk", x, p["in"]["kernel"]) + p["bias"]).reshape(-1, 6), s)
    )


def test_adapters_start_as_nothing_and_then_add_their_product():
    model = jitted(low_rank(linear(), 2, lambda path: path == "in/kernel", scale=0.5))
    inputs = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    params, state = model.init(KEY, inputs)
    assert {name: leaf.shape for name, leaf in params["adapters"]["in/kernel"].items()} == {
        "down": (12, 2),
        "up": (2, 2),
    }
    plain = jitted(linear()).apply(params["weights"], state, inputs, KEY, True)[0]
    np.testing.assert_array_equal(model.apply(params, state, inputs, KEY, True)[0], plain)
    params["adapters"]["in/kernel"]["up"] = np.ones((2, 2), np.float32)
    product = (np.asarray(params["adapters"]["in/kernel"]["down"]) @ np.ones((2, 2))).reshape(4, 3, 2)
    expected = plain + 0.5 * np.einsum("ni,ijk->njk", inputs, product).reshape(-1, 6)
    np.testing.assert_allclose(model.apply(params, state, inputs, KEY, True)[0], expected, rtol=1e-5, atol=1e-5)


def test_adapters_alone_adapt():
    model = low_rank(linear(), 1, lambda path: True)
    batch = Batch(np.eye(4, dtype=np.float32), np.arange(4), np.ones(4, np.float32))
    learner = maml(model, cross_entropy, optax.sgd(0.5), 3, adapt_only=is_adapter)
    params, state = compiled(learner.init)(KEY, batch.inputs)
    fast, info = compiled(learner.adapt)(params, state, batch, KEY)
    assert info["loss"][-1] < info["loss"][0] and not jax.tree.leaves(fast["weights"])
    assert len(jax.tree.leaves(fast["adapters"])) == 4


def test_what_has_no_matrix_and_a_rank_below_one_are_refused():
    with pytest.raises(ValueError, match="chooses no matrix"):
        with_adapters({"scale": jnp.ones(3)}, 1, lambda path: True, KEY)
    with pytest.raises(ValueError, match="rank must be 1 or more, got 0"):
        low_rank(conv4(), 0, lambda path: True)
