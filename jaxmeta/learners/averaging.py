"""Averages of the predictions of several learners, and of weights: uniform, weighted, exponential, greedy.

Lakshminarayanan, Pritzel and Blundell 2017, "Simple and scalable predictive uncertainty estimation using deep
ensembles" (arXiv 1612.01474); Wortsman et al. 2022, "Model soups" (arXiv 2203.05482).
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from jaxmeta.types import Array, MetaLearner, PyTree

Space = Literal["probability", "log", "output"]


def averaging(learner: MetaLearner, members: int, space: Space = "probability") -> MetaLearner:
    """Copies of a learner from different initial weights, whose predictions are averaged.

    The meta loss is the mean of the members' own, so that they do not influence each other.
    Args:
      learner: any; params, state and fast are its own with a leading [members], info is the mean over members.
      members: number of copies, 1 or more.
      space: as in `average_predictions`.
    Raises:
      ValueError: members below 1, an unknown space.
    Source: Lakshminarayanan et al. 2017, section 2.4, without adversarial training.
    """
    if members < 1:
        raise ValueError(f"members must be 1 or more, got {members}.")
    _check_space(space)

    def init(key, inputs):
        return jax.vmap(learner.init, in_axes=(0, None))(jax.random.split(key, members), inputs)

    def adapt(params, state, support, key):
        keys = jax.random.split(key, members)
        fast, info = jax.vmap(learner.adapt, in_axes=(0, 0, None, 0))(params, state, support, keys)
        return fast, jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), info)

    def predict(params, state, fast, inputs, key, train):
        def by_member(params, state, fast, key):
            return learner.predict(params, state, fast, inputs, key, train)

        outputs, state = jax.vmap(by_member)(params, state, fast, jax.random.split(key, members))
        return average_predictions(outputs, space), state

    def meta_loss(params, state, episode, key):
        keys = jax.random.split(key, members)
        losses, state = jax.vmap(learner.meta_loss, in_axes=(0, 0, None, 0))(params, state, episode, keys)
        return jnp.mean(losses), state

    return MetaLearner(init, adapt, predict, meta_loss)


def average_predictions(outputs: Array, space: Space = "probability") -> Array:
    """The average over the leading axis of several models' outputs.

    Args:
      outputs: [M, N, ..., C]; logits, but for "output".
      space: "probability" averages probabilities, "log" averages log-probabilities and normalises; both return
        log-probabilities, which serve as logits. "output" is the plain mean, for regression.
    """
    _check_space(space)
    if space == "output":
        return jnp.mean(outputs, axis=0)
    logs = jax.nn.log_softmax(outputs)
    if space == "log":
        return jax.nn.log_softmax(jnp.mean(logs, axis=0))
    return jax.nn.logsumexp(logs, axis=0) - math.log(len(outputs))


def uniform(trees: Sequence[PyTree]) -> PyTree:
    """The mean of trees of float arrays of one structure; leaves keep their dtype."""
    return weighted(trees, [1 / len(trees)] * len(trees))


def weighted(trees: Sequence[PyTree], weights: Sequence[float]) -> PyTree:
    """The average of trees of float arrays; ValueError unless there is a weight for each and they sum to one."""
    if len(weights) != len(trees) or not math.isclose(sum(weights), 1, abs_tol=1e-6):
        raise ValueError(f"weights must sum to 1, one for each of {len(trees)} trees, got {list(weights)}.")

    def average(*leaves: Array) -> Array:
        dtype = leaves[0].dtype
        stack = jnp.stack(leaves).astype(jnp.promote_types(dtype, jnp.float32))  # bfloat16 sums keep eight bits
        return jnp.tensordot(jnp.asarray(weights, stack.dtype), stack, 1, precision="highest").astype(dtype)

    return jax.tree.map(average, *trees)


def exponential(average: PyTree, params: PyTree, decay: float) -> PyTree:
    """decay times the average plus 1 - decay times the params; keep it in float32, as bfloat16 rounds 0.1 % away."""
    return optax.incremental_update(params, average, 1 - decay)


def greedy(candidates: Sequence[PyTree], score: Callable[[PyTree], float]) -> tuple[PyTree, list[int]]:
    """The uniform average of the candidates that do not lower its score, tried from the best down; not inside jit.

    Args:
      candidates: trees of one structure, 1 or more.
      score: tree -> float, more is better; on data that no candidate was trained on.
    Returns: (the average, the positions of those kept, best first).
    Source: Wortsman et al. 2022, recipe 1.
    """
    scores = [float(score(candidate)) for candidate in candidates]
    order = sorted(range(len(candidates)), key=lambda i: math.inf if math.isnan(scores[i]) else -scores[i])
    chosen, best = order[:1], scores[order[0]]
    for i in order[1:]:
        together = float(score(uniform([candidates[j] for j in [*chosen, i]])))
        if together >= best:
            chosen, best = [*chosen, i], together
    return uniform([candidates[j] for j in chosen]), chosen


def _check_space(space: str) -> None:
    if space not in ("probability", "log", "output"):
        raise ValueError(f"space must be 'probability', 'log' or 'output', got {space!r}.")
