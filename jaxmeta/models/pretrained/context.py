"""What a network is told of a speaker or a room: frames before the others, or a vector that is added or modulates.

Li and Liang 2021, "Prefix-tuning" (arXiv 2101.00190), at one layer; Saon et al. 2013 for vectors of a speaker; Perez et
al. 2018, "FiLM" (arXiv 1709.07871).
"""

import jax
from jax import numpy as jnp

from jaxmeta.types import Key, Model, PyTree, Ragged


def with_prefix(upper: Model, frames: int) -> Model:
    """Learned frames before the activations of every row, which attention can look at; they leave no outputs.

    Args:
      upper: of Ragged activations [N, T, D] to Ragged outputs [N, T, ...], such as a part of a pretrained encoder.
      frames: number P of learned frames, 1 or more.
    Returns:
      Model whose params are {"weights": those of `upper`, "prefix": [P, D]}.
    Raises:
      ValueError: frames below 1.
    """
    if frames < 1:
        raise ValueError(f"frames must be 1 or more, got {frames}.")

    def longer(prefix, inputs):
        values, lengths = inputs
        repeated = jnp.broadcast_to(prefix, (len(values), *prefix.shape))
        return Ragged(jnp.concatenate([repeated, values], axis=1), lengths + frames)

    def init(key: Key, inputs: Ragged) -> tuple[PyTree, PyTree]:
        key, prefix_key = jax.random.split(key)
        # Not zeros: frames that start the same stay the same.
        prefix = 0.02 * jax.random.normal(prefix_key, (frames, inputs.values.shape[-1]))
        weights, state = upper.init(key, longer(prefix, inputs))
        return {"weights": weights, "prefix": prefix}, state

    def apply(params, state, inputs, key, train):
        outputs, state = upper.apply(params["weights"], state, longer(params["prefix"], inputs), key, train)
        return Ragged(outputs.values[:, frames:], outputs.lengths - frames), state

    return Model(init, apply)


def with_vector(upper: Model) -> Model:
    """A learned vector added to every frame of the activations, which starts at zero.

    Args:
      upper: of Ragged activations [N, T, D], which looks at no frame beyond a row's length.
    Returns:
      Model whose params are {"weights": those of `upper`, "vector": [D]}.
    """

    def init(key: Key, inputs: Ragged) -> tuple[PyTree, PyTree]:
        weights, state = upper.init(key, inputs)
        return {"weights": weights, "vector": jnp.zeros(inputs.values.shape[-1])}, state

    def apply(params, state, inputs, key, train):
        shifted = inputs.values + params["vector"]
        return upper.apply(params["weights"], state, Ragged(shifted, inputs.lengths), key, train)

    return Model(init, apply)


def with_modulation(upper: Model, size: int) -> Model:
    """Every frame is scaled and shifted by a linear map of a vector, such as that of the speaker.

    Vectors come with the frames, so that samplers of utterances need know nothing of them. The map starts at zero, at
    which the model is `upper`.
    Args:
      upper: of Ragged activations [N, T, D], which looks at no frame beyond a row's length.
      size: C, numbers of the vector, 1 or more.
    Returns:
      Model of Ragged [N, T, D + C], whose last C numbers are the same in every frame of a row; params are {"weights":
      those of `upper`, "film": [C, 2 D]}.
    Raises:
      ValueError: size below 1.
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}.")

    def modulated(film, inputs):
        frames, vectors = inputs.values[..., :-size], inputs.values[:, :1, -size:]
        scale, shift = jnp.split(vectors @ film, 2, axis=-1)
        return Ragged(frames * (1 + scale) + shift, inputs.lengths)

    def init(key: Key, inputs: Ragged) -> tuple[PyTree, PyTree]:
        film = jnp.zeros((size, 2 * (inputs.values.shape[-1] - size)))
        weights, state = upper.init(key, modulated(film, inputs))
        return {"weights": weights, "film": film}, state

    def apply(params, state, inputs, key, train):
        return upper.apply(params["weights"], state, modulated(params["film"], inputs), key, train)

    return Model(init, apply)
