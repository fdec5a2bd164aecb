"""Why an update left tasks out: which of them, and which array is not finite."""

from collections.abc import Iterable

import jax
import numpy as np

from jaxmeta import tree
from jaxmeta.keys import typed
from jaxmeta.training.update import TrainState
from jaxmeta.types import Array, Batch, Episode, MetaLearner, PyTree

SHOWN = 3
"""Tasks that a diagnosis names, at most."""


def why_left_out(learner: MetaLearner, train: TrainState, episodes: Episode) -> str:
    """What is not finite in the tasks that an update of `make_update` leaves out.

    Args:
      learner: the one that is trained.
      train: the state before the update.
      episodes: its tasks, leaves [B, ...].
    Returns:
      One line, such as "task 2: the loss is nan, for support/inputs/values is not finite"; empty where all tasks count.
    """
    tasks = tree.leading_size(episodes)
    keys = jax.random.split(jax.random.fold_in(typed(train.key), train.step), tasks)

    @jax.jit  # One task at a time: this is compiled once, when something is wrong.
    def outcome(episode: Episode, key: Array) -> tuple[Array, PyTree]:
        (loss, _), gradients = jax.value_and_grad(learner.meta_loss, has_aux=True)(
            train.params, train.state, episode, key
        )
        return loss, gradients

    causes = []
    for task in range(tasks):
        episode = jax.tree.map(lambda leaf, task=task: np.asarray(leaf[task]), jax.device_get(episodes))
        loss, gradients = jax.device_get(outcome(episode, keys[task]))
        if wrong := _not_finite({"loss": loss, "gradient": gradients}):
            what = f"the loss is {loss}" if "loss" in wrong else f"the {_first(wrong)} is not finite"
            causes.append(f"task {task}: {what}, {_reason(episode)}")
    more = [f"{len(causes) - SHOWN} more tasks"] if len(causes) > SHOWN else []
    return "; ".join(causes[:SHOWN] + more)


def _reason(episode: Episode) -> str:
    if wrong := _not_finite(episode):
        return f"for {_first(wrong)} is not finite"
    return f"though the inputs are finite; {_targets('support', episode.support)}, {_targets('query', episode.query)}"


def _not_finite(values: PyTree) -> list[str]:
    return [path for path, leaf in tree.named(values).items() if not np.isfinite(leaf).all()]


def _first(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} (and {len(paths) - 1} more)"


def _targets(part: str, batch: Batch) -> str:
    """The range of the targets: labels that are no class are the commonest reason."""
    leaves: Iterable[np.ndarray] = [leaf for leaf in map(np.asarray, jax.tree.leaves(batch.targets)) if leaf.size]
    return f"{part} targets lie in {', '.join(f'[{leaf.min():.6g}, {leaf.max():.6g}]' for leaf in leaves)}"
