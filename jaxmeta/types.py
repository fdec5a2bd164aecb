"""The six types: everything in jaxmeta is a pure function between these.

Axes: B tasks, N examples, T frames, F features, C classes, K inner steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Array = jax.Array
PyTree = Any
Key = jax.Array
Loss = Callable[[PyTree, PyTree], Array]
"""(outputs [N, ...], targets [N, ...]) -> [N]; never reduced inside."""


class Ragged(NamedTuple):
    """Rows of varying length, padded to one length; whatever lies beyond a row's length is inert."""

    values: Array
    """[N, T, ...]."""
    lengths: Array
    """[N] int32, each in [0, T]."""


class Batch(NamedTuple):
    """Examples of one task."""

    inputs: PyTree
    """Leaves [N, ...]; may be Ragged, or a dict of them."""
    targets: PyTree
    """Leaves [N, ...]."""
    weight: Array
    """[N] float; 0 marks a padding example."""


class Episode(NamedTuple):
    """One task; a batch of tasks is the same type with a leading B on every leaf."""

    support: Batch
    query: Batch


class Model(NamedTuple):
    """A network as a pair of pure functions."""

    init: Callable[..., tuple[PyTree, PyTree]]
    """(key, inputs) -> (params, state)."""
    apply: Callable[..., tuple[PyTree, PyTree]]
    """(params, state, inputs, key, train) -> (outputs, state)."""


class Inner(NamedTuple):
    """What adaptation minimises, and how."""

    loss: Callable[..., tuple[Array, PyTree]]
    """(fast, params, state, batch, key) -> (scalar, state)."""
    optimizer: Callable[[PyTree], Any]
    """params -> optax.GradientTransformation, so that its rates can be learned."""
    steps: int
    """Number of inner gradient steps, 0 or more."""
    proximal: float = 0.0
    """Strength l of the pull to where adaptation starts: l / 2 times the squared distance is added to the loss."""


class MetaLearner(NamedTuple):
    """A way to learn to learn: params are meta-learned, state is carried, fast is what one task learns."""

    init: Callable[..., tuple[PyTree, PyTree]]
    """(key, inputs) -> (params, state)."""
    adapt: Callable[..., tuple[PyTree, dict]]
    """(params, state, support, key) -> (fast, info)."""
    predict: Callable[..., tuple[PyTree, PyTree]]
    """(params, state, fast, inputs, key, train) -> (outputs, state)."""
    meta_loss: Callable[..., tuple[Array, PyTree]]
    """(params, state, episode, key) -> (scalar, state)."""
