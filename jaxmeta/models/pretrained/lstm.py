"""An LSTM with the weights of PyTorch's, under their names."""

import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from jaxmeta.types import Array


class PytorchLSTM(nn.Module):
    """Layers of an LSTM over [N, T, F], whose outputs are those of the last one, or of every one, [N, T, features]."""

    features: int
    layers: int = 1
    suffix: bool = True
    """Whether names of weights end in the layer ("weight_ih_l0"), as those of nn.LSTM do and nn.LSTMCell's do not."""
    every: bool = False
    """Whether the outputs of all layers stand side by side, [N, T, layers * features]."""

    @nn.compact
    def __call__(self, values: Array) -> Array:
        outputs = []
        for layer in range(self.layers):
            end = f"_l{layer}" if self.suffix else ""
            init, units = nn.initializers.lecun_normal(), 4 * self.features
            inputs = self.param(f"weight_ih{end}", init, (units, values.shape[-1]))
            hidden = self.param(f"weight_hh{end}", init, (units, self.features))
            biases = [self.param(f"bias_{name}{end}", nn.initializers.zeros, (units,)) for name in ("ih", "hh")]
            values = _scan(values @ inputs.T + biases[0] + biases[1], hidden)
            outputs.append(values)
        return jnp.concatenate(outputs, axis=-1) if self.every else values


def _scan(gates: Array, kernel: Array) -> Array:
    zero = jnp.zeros((len(gates), kernel.shape[1]), gates.dtype)

    def step(carry, given):
        hidden, memory = carry
        enter, forget, new, leave = jnp.split(given + hidden @ kernel.T, 4, axis=-1)
        memory = jax.nn.sigmoid(forget) * memory + jax.nn.sigmoid(enter) * jnp.tanh(new)
        hidden = jax.nn.sigmoid(leave) * jnp.tanh(memory)
        return (hidden, memory), hidden

    return lax.scan(step, (zero, zero), gates.swapaxes(0, 1))[1].swapaxes(0, 1)
