"""Columns of layers that read older columns through lateral adapters: the network of `progressive`.

A column is {"layers": the weights of each layer, "adapters": those of each layer but the first, none in the first
column}. What passes between layers is an array [N, ..., F] or Ragged.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxmeta.types import Array, Key, Model, PyTree, Ragged


def init_column(layers: Sequence[Model], inputs: PyTree, older: list[list], key: Key) -> tuple[PyTree, PyTree]:
    """A new column beside older ones and its state; `older` as in `run_column`."""
    hidden, weights, adapters, states = inputs, [], [], []
    for i, layer in enumerate(layers):
        key, layer_key, adapter_key = jax.random.split(key, 3)
        if i and older:
            adapters.append(_init_adapter(_features(hidden), len(older), adapter_key))
            hidden = _add_lateral(adapters[-1], hidden, [each[i - 1] for each in older])
        params, state = layer.init(layer_key, hidden)
        hidden, _ = layer.apply(params, state, hidden, layer_key, False)
        weights.append(params)
        states.append(state)
    return {"layers": weights, "adapters": adapters}, states


def run_column(
    layers: Sequence[Model], column: PyTree, state: PyTree, inputs: PyTree, older: list[list], key: Key, train: bool
) -> tuple[list, PyTree]:
    """The output of every layer, of which the last is the column's, and the state.

    Args:
      layers: those of every column.
      column: of `init_column`.
      state: of each layer.
      inputs: leaves [N, ...].
      older: the outputs of every layer of every older column, on the same inputs.
    """
    hidden, hiddens, states = inputs, [], []
    for i, (layer, layer_key) in enumerate(zip(layers, jax.random.split(key, len(layers)), strict=True)):
        if i and older:
            hidden = _add_lateral(column["adapters"][i - 1], hidden, [each[i - 1] for each in older])
        hidden, new = layer.apply(column["layers"][i], state[i], hidden, layer_key, train)
        hiddens.append(hidden)
        states.append(new)
    return hiddens, states


def run_frozen(layers: Sequence[Model], columns: list, inputs: PyTree, key: Key) -> list[list]:
    """The output of every layer of every frozen column, in prediction, so that no state changes."""
    hiddens: list[list] = []
    for column in columns:
        hiddens.append(run_column(layers, column, column["state"], inputs, hiddens, key, False)[0])
    return hiddens


def _init_adapter(hidden: Array, columns: int, key: Key) -> PyTree:
    """V, b and U, and a scale a for each column, small and random: a new column begins nearly alone."""
    size, dtype = hidden.shape[-1], hidden.dtype
    scale, down, up = jax.random.split(key, 3)
    return {
        "scale": jax.random.uniform(scale, (columns,), dtype, 0.01, 0.1),
        "down": jax.random.normal(down, (columns * size, size), dtype) / (columns * size) ** 0.5,
        "bias": jnp.zeros(size, dtype),
        "up": jax.random.normal(up, (size, size), dtype) / size**0.5,
    }


def _add_lateral(adapter: PyTree, hidden: PyTree, older: list) -> PyTree:
    """hidden + U relu(V a h + b), h the features of the older columns side by side."""
    scaled = [scale * _features(each) for scale, each in zip(adapter["scale"], older, strict=True)]
    middle = jax.nn.relu(jnp.concatenate(scaled, axis=-1) @ adapter["down"] + adapter["bias"])
    features = _features(hidden) + middle @ adapter["up"]
    return hidden._replace(values=features) if isinstance(hidden, Ragged) else features


def _features(hidden: PyTree) -> Array:
    return hidden.values if isinstance(hidden, Ragged) else hidden
