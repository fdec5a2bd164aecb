"""A network in bfloat16 between float32 weights and outputs."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta import Model, Ragged
from jaxmeta.models.accelerated.precision import in_bfloat16


def apply(params, state, inputs, key, train):
    assert params["w"].dtype == inputs.values.dtype == jnp.bfloat16 and inputs.lengths.dtype == jnp.int32
    return inputs.values @ params["w"], {"seen": state["seen"] + inputs.values.sum()}


def test_weights_inputs_and_outputs_are_rounded_and_gradients_are_float32():
    model = in_bfloat16(Model(lambda key, inputs: None, apply))
    weights, values = np.float32([[1 + 2**-10], [3.0]]), np.float32([[1.0, 2.0], [2**-9 + 1, 0]])

    def loss(weights):
        inputs = Ragged(jnp.asarray(values), jnp.array([1, 1]))
        outputs, state = model.apply({"w": weights}, {"seen": jnp.zeros(())}, inputs, jax.random.key(0), True)
        return outputs.sum(), (outputs, state)

    gradient, (outputs, state) = jax.jit(jax.grad(loss, has_aux=True))(weights)
    # Eight bits: 1 + 2^-10 and 1 + 2^-9 are 1.
    np.testing.assert_array_equal(outputs, [[7.0], [1.0]])
    np.testing.assert_array_equal(gradient, [[2.0], [2.0]])
    assert outputs.dtype == gradient.dtype == state["seen"].dtype == jnp.float32
