"""The recurrence of a GRU whose gradient adds up over time once, after its loop, and not in every step of it.

Left to itself, JAX adds to the gradient of the recurrent weights in every step, for every task: reading and writing
these is most of what a GPU then does. Here the loop gives the gradient of the gates, and one product gives that of the
weights. It has derivatives in reverse mode, and those have derivatives in both modes, as all estimators need; forward
mode of the recurrence itself is refused by JAX.
"""

import jax
from jax import lax
from jax import numpy as jnp

from jaxmeta.types import Array

_PRODUCT = lax.dot_general.__code__
UNROLL = 4
"""Steps in one turn of the loop on an accelerator, for which to begin a turn costs as much as a step."""


@jax.custom_vjp
def gru(gates: Array, kernel: Array, bias: Array, real: Array) -> Array:
    """Hidden states of several recurrences side by side, each from a start at zero.

    Args:
      gates: what inputs give the gates, reset, keep and new, [T, D, N, 3 * H]; D recurrences of N rows.
      kernel: recurrent weights, [D, H, 3 * H].
      bias: added to the recurrent product of new, [D, H].
      real: [T, D, N, 1] bool; where it is False the state is zero.
    Returns:
      [T, D, N, H].
    Source: Cho et al. 2014 (arXiv 1406.1078) as PyTorch and cuDNN compute it, the reset gate after the product.
    """
    return _forward(gates, kernel, bias, real)[0]


def products_are_replaced() -> bool:
    """Whether other products stand in the place of JAX's, as those of qwix, which round and have other derivatives."""
    # By its code, which qwix exchanges, and not the function.
    return lax.dot_general.__code__ is not _PRODUCT


def _forward(gates, kernel, bias, real):
    def step(hidden, inputs):
        gates, real = inputs
        reset, keep, new = jnp.split(gates, 3, axis=-1)
        reset_hidden, keep_hidden, new_hidden = jnp.split(_product(hidden, kernel), 3, axis=-1)
        reset, keep = jax.nn.sigmoid(reset + reset_hidden), jax.nn.sigmoid(keep + keep_hidden)
        new_hidden = new_hidden + bias[:, None]
        new = jnp.tanh(new + reset * new_hidden)
        following = jnp.where(real, new + keep * (hidden - new), jnp.zeros_like(hidden))
        return following, (following, jnp.concatenate([hidden, reset, keep, new, new_hidden], axis=-1))

    start = jnp.zeros((*gates.shape[1:3], kernel.shape[1]), gates.dtype)
    _, (states, saved) = lax.scan(step, start, (gates, real), unroll=_unroll(gates.shape[0]))
    return states, (saved, kernel, real)


def _backward(residuals, cotangents):
    saved, kernel, real = residuals
    turned = kernel.swapaxes(1, 2)

    def step(carry, inputs):
        (hidden, reset, keep, new, new_hidden), (cotangent, real) = jnp.split(inputs[0], 5, axis=-1), inputs[1:]
        cotangent = jnp.where(real, carry + cotangent, jnp.zeros_like(carry))
        of_new = cotangent * (1 - keep) * (1 - new * new)
        of_keep = cotangent * (hidden - new) * keep * (1 - keep)
        of_reset = of_new * new_hidden * reset * (1 - reset)
        of_product = jnp.concatenate([of_reset, of_keep, of_new * reset], axis=-1)
        return cotangent * keep + _product(of_product, turned), (of_product, of_new)

    start = jnp.zeros_like(cotangents[0])
    _, (of_products, of_new) = lax.scan(
        step, start, (saved, cotangents, real), reverse=True, unroll=_unroll(saved.shape[0])
    )  # fmt: skip
    size = kernel.shape[1]
    of_kernel = jnp.einsum("tdnh,tdng->dhg", saved[..., :size], of_products)
    of_gates = jnp.concatenate([of_products[..., : 2 * size], of_new], axis=-1)
    return of_gates, of_kernel, of_products[..., 2 * size :].sum((0, 2)), None


gru.defvjp(_forward, _backward)


def _product(values: Array, matrices: Array) -> Array:
    """[D, N, A], [D, A, B] -> [D, N, B]."""
    return lax.dot_general(values, matrices, (((2,), (1,)), ((0,), (0,))))


def _unroll(frames: int) -> int:
    """Steps in one turn of the loop; frames are no number in programs that are exported for any length."""
    return 1 if jax.default_backend() == "cpu" or not isinstance(frames, int) else min(frames, UNROLL)
