"""The meta-training step and the evaluation, as pure functions of a batch of tasks."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxmeta import tree
from jaxmeta.keys import as_keys, as_numbers, typed
from jaxmeta.losses import weighted_mean
from jaxmeta.types import Array, Episode, Key, MetaLearner, PyTree


class TrainState(NamedTuple):
    """Everything that training changes; a checkpoint is the whole of it."""

    step: Array
    """Scalar int32: updates made, and so the index of the next batch of tasks."""
    key: Key
    """Typed PRNG key; that of a step is fold_in(key, step)."""
    params: PyTree
    state: PyTree
    optimizer: PyTree


Update = Callable[..., tuple[TrainState, dict[str, Array]]]
"""(train, episodes) -> (train, metrics)."""


def init_state(
    learner: MetaLearner,
    optimizer: optax.GradientTransformation,
    key: Key,
    inputs: PyTree,
    params: PyTree | None = None,
) -> TrainState:
    """Initial training state.

    Args:
      learner: what is trained.
      optimizer: the outer optimizer.
      key: PRNG key, typed (jax.random.key) or legacy; the state holds it typed.
      inputs: inputs of one task, leaves [N, ...], for their shapes.
      params: where training starts, such as trained weights; None: at the learner's initial ones.
    """
    init_key, train_key = jax.random.split(typed(key))
    if params is None:
        params, state = jax.jit(learner.init)(init_key, inputs)  # One compilation, not one for each operation.
    else:  # No weights are drawn.
        state = jax.jit(lambda *given: learner.init(*given)[1])(init_key, inputs)
    return TrainState(jnp.zeros((), jnp.int32), train_key, params, state, jax.jit(optimizer.init)(params))


def make_update(
    learner: MetaLearner,
    optimizer: optax.GradientTransformation,
    *,
    microbatch: int | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """A pure `update(train, episodes) -> (train, metrics)`; jit it.

    The gradient is taken per task and averaged over the tasks whose loss and gradient are finite. If none is, params,
    state and optimizer stay as they were and only the step counts.

    Args:
      learner: gives the loss of one task.
      optimizer: the outer optimizer.
      microbatch: how many tasks are in flight at once (vmapped) on a device; the chunks run in turn. None: all of them.
      mesh: devices that share the tasks, each with a copy of everything else; tasks that do not divide evenly are
        filled up with some that count for nothing. The result is that of one device to rounding. None: one device.
        Its devices may belong to several processes: `training.sharing` makes batches for them.
    Returns:
      update: episodes have a leading axis [B]. metrics are scalars: `loss` and `gradient_norm` of the mean over
        finite tasks (a loss of NaN where there is none), `masked`: the number of tasks left out. A third argument,
        `real` [B] bool, says that tasks fill the batch up already; a task that is alone then is on all devices at once.
    Raises:
      ValueError: microbatch below 1; episodes whose leaves disagree on B; at trace time, an optimizer that needs more
        than gradients, params, `value` (the loss) and `grad`.
    """
    _check_microbatch(microbatch)

    def gradient(params: PyTree, state: PyTree, episode: Episode, key: Key):
        value_and_grad = jax.value_and_grad(learner.meta_loss, has_aux=True)
        (loss, state), gradients = value_and_grad(params, state, episode, key)
        return loss, gradients, as_numbers(state)

    def total(weights: PyTree, tasks: PyTree, real: Array) -> tuple[Array, PyTree]:
        return _sum_over_finite(lambda task: gradient(*weights, *task), tasks, real, microbatch or len(real))

    def update(train: TrainState, episodes: Episode, real: Array | None = None) -> tuple[TrainState, dict[str, Array]]:
        tasks = tree.leading_size(episodes)
        keys = jax.random.split(jax.random.fold_in(typed(train.key), train.step), tasks)
        alone = tasks == 1 and real is not None  # Then its examples are what devices share.
        shared = total if mesh is None or alone else _on_mesh(total, mesh)
        real = jnp.ones(tasks, bool) if real is None else real
        healthy, sums = shared((train.params, train.state), (episodes, keys), real)
        loss, gradients, state = jax.tree.map(
            lambda leaf: leaf / jnp.maximum(healthy, 1) if _is_float(leaf) else leaf, sums
        )
        updates, slots = _step(optimizer, gradients, train, loss)
        moved = (optax.apply_updates(train.params, updates), as_keys(state, train.state), slots)
        unchanged = (train.params, train.state, train.optimizer)
        loss = jnp.where(healthy > 0, loss, jnp.nan)  # Not 0, which would look perfect.
        masked = real.sum(dtype=jnp.int32) - healthy
        metrics = {"loss": loss, "masked": masked, "gradient_norm": optax.tree.norm(gradients)}
        return TrainState(train.step + 1, train.key, *tree.where(healthy > 0, moved, unchanged)), metrics

    return update


def make_evaluate(
    learner: MetaLearner, metrics: Mapping[str, Callable[[PyTree, PyTree], Array]], *, microbatch: int | None = None
) -> Callable[[PyTree, PyTree, Episode, Key], dict[str, Array]]:
    """A pure `evaluate(params, state, episodes, key) -> rows`: adapt to each support set, score each query set.

    Args:
      learner: may have another number of inner steps than the one that was trained.
      metrics: name -> (outputs, targets) -> [N], as in `losses` and `metrics`.
      microbatch: how many tasks are in flight at once. None: all of them.
    Returns:
      evaluate: rows[name] is [B], the weighted mean over each episode's query set.
    """
    _check_microbatch(microbatch)

    def score(params: PyTree, state: PyTree, episode: Episode, key: Key) -> dict[str, Array]:
        support_key, query_key = jax.random.split(key)
        fast, _ = learner.adapt(params, state, episode.support, support_key)
        outputs, _ = learner.predict(params, state, fast, episode.query.inputs, query_key, False)
        query = episode.query
        return {name: weighted_mean(metric(outputs, query.targets), query.weight) for name, metric in metrics.items()}

    def evaluate(params: PyTree, state: PyTree, episodes: Episode, key: Key) -> dict[str, Array]:
        tasks = tree.leading_size(episodes)
        keys = jax.random.split(typed(key), tasks)
        return jax.lax.map(lambda task: score(params, state, *task), (episodes, keys), batch_size=microbatch or tasks)

    return evaluate


def _step(
    optimizer: optax.GradientTransformation, gradients: PyTree, train: TrainState, loss: Array
) -> tuple[PyTree, PyTree]:
    """The optimizer's update; one that takes more than gradients and params gets the loss and the gradient too."""
    try:
        return optax.with_extra_args_support(optimizer).update(
            gradients, train.optimizer, train.params, value=loss, grad=gradients
        )
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise ValueError(
            f"the outer optimizer needs more than gradients, params, value and grad ({error}); use another "
            "(optax.lbfgs with linesearch=None needs no more)."
        ) from error


def _check_microbatch(microbatch: int | None) -> None:
    if microbatch is not None and microbatch < 1:
        raise ValueError(f"microbatch must be at least 1 task, got {microbatch}; use None for all tasks at once.")


def _sum_over_finite(function: Callable, tasks: PyTree, real: Array, chunk: int) -> tuple[Array, PyTree]:
    """Sum of function(task) -> (loss, gradients, state) over the real tasks [B] with finite ones, and their number.

    `chunk` tasks at a time. Masks values, not losses: 0 * NaN is NaN. Integer leaves (counters) take the largest.
    """
    count = len(real)
    chunk = min(chunk, count)
    # The last chunk is filled up with repetitions of the last task that count for nothing.
    index = jnp.arange(-(-count // chunk) * chunk).reshape(-1, chunk)

    @jax.jit  # Traced once, for the shapes of its results and for the loop.
    def at_index(index: Array):
        task, counts = tree.take((tasks, real), jnp.minimum(index, count - 1))
        value = function(task)
        counts = counts & tree.all_finite(tree.flat(value[:2])) & (index < count)
        return counts, tree.where(counts, value, jax.tree.map(jnp.zeros_like, value))

    def several(task: PyTree, counts: Array) -> tuple[Array, PyTree]:
        values = jax.vmap(function)(task)
        quick = jax.tree.map(partial(_sum, counts), values)
        # A sum is finite only where all its terms are: tasks are looked at one by one only where it is not.
        return jax.lax.cond(
            tree.all_finite(tree.flat(quick[:2])),
            lambda: (counts.sum(dtype=jnp.int32), quick),
            lambda: _finite_ones(counts & jax.vmap(tree.all_finite)(values[:2]), values),
        )

    def add(total: PyTree, index: Array):
        # One task alone is not vmapped, so that its convolutions stay ordinary ones.
        if chunk == 1:
            counts, values = at_index(index[0])
        else:
            task, counts = tree.take((tasks, real), jnp.minimum(index, count - 1))
            counts, values = several(task, counts & (index < count))
        return (total[0] + counts, jax.tree.map(_accumulate, total[1], values)), None

    if chunk == count > 1:
        return several(tasks, real)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(at_index, index[0, 0])[1])
    return jax.lax.scan(add, (jnp.zeros((), jnp.int32), zeros), index)[0]


def _on_mesh(total: Callable, mesh: jax.sharding.Mesh) -> Callable:
    """`total(weights, tasks, real)` with the tasks shared among all devices of a mesh."""
    axes = mesh.axis_names

    def local(weights: PyTree, tasks: PyTree, real: Array) -> tuple[Array, PyTree]:
        count, value = total(weights, tasks, real)
        return jax.lax.psum(count, axes), jax.tree.map(
            lambda leaf: (jax.lax.psum if _is_float(leaf) else jax.lax.pmax)(leaf, axes), value
        )

    def run(weights: PyTree, tasks: PyTree, real: Array) -> tuple[Array, PyTree]:
        count = len(real)
        filled = -(-count // mesh.size) * mesh.size
        if filled > count:
            tasks = tree.take(tasks, jnp.minimum(jnp.arange(filled), count - 1))
            real = jnp.arange(filled) < count
        spread, everywhere = jax.sharding.PartitionSpec(axes), jax.sharding.PartitionSpec()
        # Without the check of what varies: with it JAX sums the gradients of what all devices share by itself, and
        # they would be counted twice.
        return jax.shard_map(
            local, mesh=mesh, in_specs=(everywhere, spread, spread), out_specs=everywhere, check_vma=False
        )(weights, tasks, real)

    return run


def _finite_ones(counts: Array, values: PyTree) -> tuple[Array, PyTree]:
    """Number and sum of the tasks that count; what the others give may be NaN."""

    def chosen(leaf: Array) -> Array:
        return jnp.where(counts.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, jnp.zeros_like(leaf))

    return counts.sum(dtype=jnp.int32), jax.tree.map(lambda leaf: _sum(counts, chosen(leaf)), values)


def _sum(counts: Array, leaf: Array) -> Array:
    """Over the tasks that count, NaN if any task is; integers take the largest."""
    weighted = leaf * counts.reshape(-1, *[1] * (leaf.ndim - 1)).astype(leaf.dtype)
    return weighted.sum(0) if _is_float(leaf) else weighted.max(0)


def _accumulate(total: Array, value: Array) -> Array:
    return total + value if _is_float(total) else jnp.maximum(total, value)


def _is_float(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)
