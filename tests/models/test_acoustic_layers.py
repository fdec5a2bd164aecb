"""The layers of a recogniser, one by one, are the recogniser."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta import Ragged
from jaxmeta.models.acoustic import Size, recogniser
from jaxmeta.models.acoustic_layers import recogniser_layers

SIZE = Size(8, 1)


def test_the_layers_are_the_recogniser():
    model, layers = recogniser(5, "gru", SIZE), recogniser_layers(5, SIZE)
    speech = Ragged(jax.random.normal(jax.random.key(0), (2, 16, 12)), jnp.array([16, 9]))
    shapes, _ = jax.eval_shape(model.init, jax.random.key(1), speech)
    rng = np.random.default_rng(0)
    weights = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32) / 3, shapes)
    parts = [
        {"FrontEnd_0": weights["front"]},
        {"LayerNorm_0": weights["encoder"]["LayerNorm_0"], "Bidirectional_0": weights["encoder"]["layer_0"]},
        {"LayerNorm_0": weights["encoder"]["LayerNorm_1"], "Dense_0": weights["head"]},
    ]

    @jax.jit
    def through(parts, hidden):
        for layer, part in zip(layers, parts, strict=True):
            hidden, _ = layer.apply(part, {}, hidden, jax.random.key(0), False)
        return hidden

    expected, _ = jax.jit(lambda w, x: model.apply(w, {}, x, jax.random.key(0), False))(weights, speech)
    found = through(parts, speech)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    for row, length in zip(range(2), np.asarray(expected.lengths), strict=True):
        np.testing.assert_allclose(found.values[row, :length], expected.values[row, :length], atol=1e-5)
