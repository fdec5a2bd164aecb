"""Small networks on embedded recordings, vectors [N, D]: a projection, and what learners put behind it."""

import jax
from jax import numpy as jnp

from jaxmeta.types import Array, Key, Model, PyTree

_NOISE = 0.05
"""Length of the change to each row of the identity: members of an ensemble, and seeds, start apart."""


def projection(outputs: int | None = None, *, head_scale: float = 0.0) -> Model:
    """A linear map that starts near the identity, its outputs brought to the length of the input; perhaps a head.

    So learners start from the frozen embedding itself, and what they learn is a better one.
    Args:
      outputs: number of classes of a linear layer named "head"; None: outputs are the projected vectors [N, D].
      head_scale: length of each class's weights at the start, in orthogonal directions; 0: a head of zeros, which
        favours no class, and which a step of gradient descent turns into a classifier by class means.
    """

    def init(key: Key, inputs: Array) -> tuple[PyTree, PyTree]:
        body_key, head_key = jax.random.split(key)
        size = inputs.shape[-1]
        noise = jax.random.normal(body_key, (size, size)) * (_NOISE / size**0.5)
        params = {"body": {"kernel": jnp.eye(size) + noise, "scale": jnp.ones(())}}
        if outputs is None:
            return params, {}
        directions = jax.random.orthogonal(head_key, size)[:, :outputs]
        return params | {"head": {"kernel": head_scale * directions, "bias": jnp.zeros(outputs)}}, {}

    def apply(params: PyTree, state: PyTree, inputs: Array, key: Key, train: bool) -> tuple[Array, PyTree]:
        features = _projected(params["body"], inputs)
        if outputs is None:
            return features, state
        return features @ params["head"]["kernel"] + params["head"]["bias"], state

    return Model(init, apply)


def linear(outputs: int) -> Model:
    """A linear layer of vectors [N, D] that starts at zero."""

    def init(key: Key, inputs: Array) -> tuple[PyTree, PyTree]:
        return {"kernel": jnp.zeros((inputs.shape[-1], outputs)), "bias": jnp.zeros(outputs)}, {}

    def apply(params: PyTree, state: PyTree, inputs: Array, key: Key, train: bool) -> tuple[Array, PyTree]:
        return inputs @ params["kernel"] + params["bias"], state

    return Model(init, apply)


def _projected(body: PyTree, inputs: Array) -> Array:
    features = inputs @ body["kernel"]
    squares = jnp.sum(jnp.square(features), axis=-1, keepdims=True)
    lengths = jnp.sum(jnp.square(inputs), axis=-1, keepdims=True)
    return body["scale"] * features * jax.lax.rsqrt(jnp.maximum(squares, 1e-6)) * jnp.sqrt(jnp.maximum(lengths, 1e-6))
