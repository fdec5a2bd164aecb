"""Supervised training of the newest column of a progressive network beside frozen ones.

first = freeze(*next_column(layers, [], inputs, key))             # and train it
start, state = next_column(layers, [first], inputs, key)
learner = newest_column(layers, [first], start, state, loss)      # trains the second one
"""

from collections.abc import Sequence

import jax

from jaxmeta.learners.columns import init_column, run_column, run_frozen
from jaxmeta.losses import weighted_mean
from jaxmeta.types import Key, Loss, MetaLearner, Model, PyTree


def newest_column(
    layers: Sequence[Model], columns: list[PyTree], start: PyTree, state: PyTree, loss: Loss
) -> MetaLearner:
    """Trains one column without adaptation; params are that column alone, so that no optimizer can move a frozen one.

    Frozen columns are part of the state, which is never differentiated. The query loss is all that is minimised.
    Args:
      layers: of each column, as in `progressive`.
      columns: frozen ones, as `freeze` gives them; none for a network that is no progressive one.
      start: the new column's weights, as `next_column` gives them.
      state: of its layers.
      loss: (outputs, targets) -> [N].
    """

    def init(key, inputs):
        return start, {"columns": columns, "new": state}

    def adapt(params, state, support, key):
        return params, {}

    def predict(params, state, fast, inputs, key, train):
        older = run_frozen(layers, jax.lax.stop_gradient(state["columns"]), inputs, key)
        hiddens, new = run_column(layers, fast, state["new"], inputs, older, key, train)
        return hiddens[-1], state | {"new": new}

    def meta_loss(params, state, episode, key):
        query = episode.query
        outputs, state = predict(params, state, params, query.inputs, key, True)
        return weighted_mean(loss(outputs, query.targets), query.weight), state

    return MetaLearner(init, adapt, predict, meta_loss)


def next_column(layers: Sequence[Model], columns: list[PyTree], inputs: PyTree, key: Key) -> tuple[PyTree, PyTree]:
    """Random weights of a column that reads the frozen ones, and the state of its layers.

    Args:
      layers, columns: as in `newest_column`.
      inputs: leaves [N, ...], for their shapes.
      key: of the weights.
    """
    draw = jax.jit(lambda columns: init_column(layers, inputs, run_frozen(layers, columns, inputs, key), key))
    return draw(columns)


def freeze(column: PyTree, state: PyTree) -> PyTree:
    """A trained column with the state of its layers, as `column_outputs` reads it."""
    return {**column, "state": state}


def thaw(column: PyTree) -> tuple[PyTree, PyTree]:
    """The weights and the state of a column that `freeze` gave, to train it further."""
    return {name: column[name] for name in ("layers", "adapters")}, column["state"]
