"""A recogniser as the layers of a column, and the plain training of its newest column beside frozen ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import jax
import numpy as np
import optax
from flax import linen as nn

from jaxmeta import MetaLearner, Model, Ragged
from jaxmeta.decoding.greedy import greedy
from jaxmeta.learners.progressive import column_outputs, grow, progressive
from jaxmeta.losses import weighted_mean
from jaxmeta.models.acoustic import FrontEnd, Size
from jaxmeta.models.linen import from_linen
from jaxmeta.models.recurrent import Bidirectional
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.types import Key, PyTree


def column_layers(classes: int, size: Size) -> list[Model]:
    """The front end, the recurrent layers and the head of `recogniser(classes, "gru", size)`, one by one.

    Args:
      classes: C, the blank included.
      size: width and depth.
    """
    return [
        from_linen(_Front(size.width)),
        *(from_linen(_Recurrent(size.width)) for _ in range(size.depth)),
        from_linen(_Head(classes)),
    ]


def newest_column(layers: Sequence[Model], columns: list[PyTree], start: PyTree, state: PyTree) -> MetaLearner:
    """Trains one column plainly; params are that column alone, so that no optimizer can move a frozen one.

    Frozen columns ride along in the state, which is never differentiated. Does not adapt: the query loss is all.
    Args:
      layers: of each column.
      columns: frozen ones, as `freeze` gives them; none for a network that is no progressive one.
      start: the new column's weights, as `next_column` gives them.
      state: of its layers.
    """
    whole = progressive(layers, LOSS, optax.sgd(0.0), steps=0)

    def init(key, inputs):
        return start, {"columns": columns, "new": state}

    def adapt(params, state, support, key):
        return params, {}

    def predict(params, state, fast, inputs, key, train):
        outputs, new = whole.predict({"columns": state["columns"]}, state["new"], fast, inputs, key, train)
        return outputs, state | {"new": new}

    def meta_loss(params, state, episode, key):
        query = episode.query
        outputs, state = predict(params, state, params, query.inputs, key, True)
        return weighted_mean(LOSS(outputs, query.targets), query.weight), state

    return MetaLearner(init, adapt, predict, meta_loss)


def next_column(layers: Sequence[Model], columns: list[PyTree], features: int, key: Key) -> tuple[PyTree, PyTree]:
    """Random weights of a column that reads the frozen ones, and the state of its layers.

    Args:
      layers, columns: as in `newest_column`.
      features: numbers in a frame, F.
      key: of the weights.
    """
    speech = Ragged(np.zeros((1, 8, features), np.float32), np.full(1, 8, np.int32))
    if not columns:
        params, state = jax.jit(progressive(layers, LOSS, optax.sgd(0.0), steps=0).init)(key, speech)
        return params["new"], state
    *older, last = columns
    fast, state = thaw(last)
    grown, state = jax.jit(partial(grow, layers))({"columns": older}, state, fast, speech, key)
    return grown["new"], state


def freeze(column: PyTree, state: PyTree) -> PyTree:
    """A trained column with the state of its layers, as `column_outputs` reads it."""
    return {**column, "state": state}


def thaw(column: PyTree) -> tuple[PyTree, PyTree]:
    """The weights and the state of a column that `freeze` gave, to go on with."""
    return {name: column[name] for name in ("layers", "adapters")}, column["state"]


def column_recogniser(layers: Sequence[Model]) -> Callable[[list[PyTree], Ragged], Ragged]:
    """(frozen columns, speech) -> labels that the last of them hears, compiled once for each number of columns."""

    @jax.jit
    def recognise(columns: list[PyTree], speech: Ragged) -> Ragged:
        return greedy(column_outputs(layers, {"columns": columns}, len(columns) - 1, speech, jax.random.key(0)))

    return recognise


class _Front(nn.Module):
    width: int

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        return Ragged(*FrontEnd(self.width)(inputs))


class _Recurrent(nn.Module):
    width: int

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        return Ragged(Bidirectional(self.width)(nn.LayerNorm()(inputs.values), inputs.lengths), inputs.lengths)


class _Head(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        return Ragged(nn.Dense(self.classes)(nn.LayerNorm()(inputs.values)), inputs.lengths)
