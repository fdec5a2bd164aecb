"""MAML++: MAML with learned rates, a loss after every inner step, and first-order early updates.

Antoniou, Edwards and Storkey 2019, "How to train your MAML" (arXiv 1810.09502). Their outer optimizer, Adam with a
cosine schedule, is no part of the learner.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmeta import tree
from jaxmeta.estimators import Estimator, first_order, unrolled
from jaxmeta.learners.per_step import PerStep, per_step
from jaxmeta.optimizers import descent
from jaxmeta.types import Array, Inner, Loss, MetaLearner, Model


def maml_plus_plus(
    model: Model | PerStep,
    loss: Loss,
    rate: float,
    steps: int,
    estimator: Estimator = unrolled(),
    multi_step_updates: int = 5000,
    first_order_updates: int = 0,
    adapt_only: Callable[[str], bool] = tree.everything,
) -> MetaLearner:
    """Weights adapt by gradient descent with a learned rate for each leaf and step; training starts out gently.

    Args:
      model: the network, or `per_step(network, steps)` for normalisation of its own after every step. params are
        {"weights", "rates": [steps] for each leaf that adapts}; state is {"updates": how many were made, "model"}.
      loss, adapt_only: as in `maml`.
      rate: where every rate starts.
      steps: inner steps, 1 or more; 0 only to adapt. With params of another number, fewer use the first rates, and
        steps beyond the last use the last.
      estimator: how the meta-gradient passes through each step, one at a time: `truncated(last=2)` is refused.
      multi_step_updates: updates over which the weights of the query losses after each step go linearly from equal
        to the last alone; 0: always the last alone. The default is a tenth of the authors' 50,000 updates.
      first_order_updates: so many updates are first order, before `estimator` is used; 0, as the authors ran: none.
    Raises:
      ValueError: negative numbers, an estimator of several steps, or a meta-loss without steps; at trace time, if
        `adapt_only` selects none or all of the weights.
    Source: Antoniou et al. 2019, section 4. Differs: annealing goes by updates, not epochs, and to 0, not 0.03 / steps;
      running statistics are used in prediction, and come from those query passes whose weight is not 0.
    """
    if min(steps, multi_step_updates, first_order_updates) < 0:
        raise ValueError(f"need 0 or more, got {steps=}, {multi_step_updates=}, {first_order_updates=}.")
    model = model if isinstance(model, PerStep) else per_step(model, steps, copied=lambda path: False)
    task = model.adapting(loss, adapt_only)
    inner = Inner(
        loss=lambda fast, here, *rest: task.loss(fast, here["weights"], *rest),
        optimizer=lambda here: descent(here["rates"]),
        steps=1,
    )
    solve, solve_early = estimator(inner), first_order()(inner)

    def init(key, inputs):
        weights, state = model.init(key, inputs)
        rates = jax.tree.map(lambda leaf: jnp.full(steps, rate, leaf.dtype), task.start(weights))
        return {"weights": weights, "rates": rates}, {"updates": jnp.zeros((), jnp.int32), "model": state}

    def descend(solve, params, state, support, key, after):
        """Take the steps; after each call after(fast, state, steps taken) -> (value, state)."""

        def step(carry, inputs):
            (fast, state), (index, key) = carry, inputs
            rates = jax.tree.map(lambda leaf: leaf[jnp.minimum(index, len(leaf) - 1)], params["rates"])
            here = {"weights": model.at(params["weights"], index), "rates": rates}
            fast, info = solve(fast, here, model.at(state, index), support, key)
            # Computed again in the backward pass, or every step would keep the activations of its query set.
            value, state = jax.checkpoint(after, prevent_cse=False)(fast, state, index + 1)
            return (fast, state), (value, info["loss"][0])

        each = (jnp.arange(steps), jax.random.split(key, steps))
        return jax.lax.scan(step, (task.start(params["weights"]), state), each)

    def adapt(params, state, support, key):
        (fast, _), (_, losses) = descend(solve, params, state["model"], support, key, lambda fast, state, _: (0, state))
        return fast, {"loss": losses}

    def predict(params, state, fast, inputs, key, train):
        here = model.at(params["weights"], steps), model.at(state["model"], steps)
        outputs, new = task.predict(*here, fast, inputs, key, train)
        return outputs, {**state, "model": model.put(state["model"], steps, new)}

    def meta_loss(params, state, episode, key):
        support_key, query_key = jax.random.split(key)
        importance = _importance(state["updates"], multi_step_updates, steps)

        def query_loss(fast, state, taken):
            weights = model.at(params["weights"], taken)
            value, new = task.loss(fast, weights, model.at(state, taken), episode.query, query_key)
            return value * importance[taken - 1].astype(value.dtype), model.put(state, taken, new)

        def after(fast, state, taken):
            nothing = jnp.zeros((), jax.eval_shape(query_loss, fast, state, taken)[0].dtype), state
            return jax.lax.cond(importance[taken - 1] > 0, query_loss, lambda *_: nothing, fast, state, taken)

        def run(solve):
            return descend(solve, params, state["model"], episode.support, support_key, after)

        if first_order_updates:
            early = state["updates"] < first_order_updates
            (_, carried), (values, _) = jax.lax.cond(early, lambda: run(solve_early), lambda: run(solve))
        else:
            (_, carried), (values, _) = run(solve)
        return jnp.sum(values), {"updates": state["updates"] + 1, "model": carried}

    return MetaLearner(init, adapt, predict, meta_loss)


def _importance(updates: Array, multi_step_updates: int, steps: int) -> Array:
    """Weights [steps] of the query losses, which sum to 1."""
    if not steps:
        raise ValueError("the meta-loss of maml_plus_plus needs 1 step or more, got steps=0.")
    left = jnp.maximum(1 - updates.astype(float) / multi_step_updates, 0) if multi_step_updates else 0.0
    return left / steps + (1 - left) * (jnp.arange(steps) == steps - 1)
