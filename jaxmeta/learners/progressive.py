"""Progressive networks: a new column for new tasks, which reads frozen older columns through lateral adapters.

Rusu, Rabinowitz, Desjardins et al. 2016, "Progressive neural networks" (arXiv 1606.04671).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.learners.columns import init_column, run_column, run_frozen
from jaxmeta.objective import after_adaptation, supervised
from jaxmeta.types import Inner, Key, Loss, MetaLearner, Model, PyTree


def progressive(
    layers: Sequence[Model],
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    estimator: Estimator = unrolled(),
) -> MetaLearner:
    """The newest column adapts by gradient descent from meta-learned weights; older columns are frozen.

    Begins with one column, and is `maml` then; `grow` freezes a column and starts the next.
    Args:
      layers: the layers of a column in order, each with its activation; what passes between two of them is an array
        [N, ..., F] or Ragged, and the last gives the outputs.
      loss: (outputs, targets) -> [N], used on support and query.
      optimizer: inner optimizer, any differentiable optax transformation.
      steps: inner steps, 0 or more.
      estimator: how the meta-gradient passes through the steps.
    params is {"columns": frozen columns, each with its state; "new": a column}, fast the new column adapted, state
    that of the new column's layers. The meta-gradient of frozen columns is exactly 0; weight decay in the outer
    optimizer would move them all the same, so mask it.
    Raises:
      ValueError: no layers.
    Source: Rusu et al. 2016, eq. 2. Differs: a lateral is added to a layer's input and not behind its weights W, so
      it is W U relu(V a h) in place of U relu(V a h), which serves layers that stride, pool or recur as well.
    """
    if not layers:
        raise ValueError("layers must hold at least one Model, got none.")

    def apply(column, state, seen, key, train):
        inputs, older = seen
        hiddens, state = run_column(layers, column, state, inputs, older, key, train)
        return hiddens[-1], state

    objective = supervised(Model(lambda key, seen: init_column(layers, seen[0], seen[1], key), apply), loss)
    solve = estimator(
        Inner(
            lambda fast, params, state, batch, key: objective(fast, state, batch, key),
            lambda params: optimizer,
            steps,
        )
    )

    def see(params, inputs, key):
        return inputs, run_frozen(layers, jax.lax.stop_gradient(params["columns"]), inputs, key)

    def init(key, inputs):
        column, state = init_column(layers, inputs, [], key)
        return {"columns": [], "new": column}, state

    def adapt(params, state, support, key):
        # The frozen columns run once and not in every step.
        seen = support._replace(inputs=see(params, support.inputs, key))
        return solve(params["new"], params, state, seen, key)

    def predict(params, state, fast, inputs, key, train):
        return apply(fast, state, see(params, inputs, key), key, train)

    return MetaLearner(init, adapt, predict, after_adaptation(adapt, predict, loss))


def grow(
    layers: Sequence[Model], params: PyTree, state: PyTree, fast: PyTree, inputs: PyTree, key: Key
) -> tuple[PyTree, PyTree]:
    """Freeze an adapted column and start a new one that reads it; returns (params, state).

    Both change their structure: a training step compiles again, and an outer optimizer starts anew.
    Args:
      layers: those of the learner.
      params, state: of the learner.
      fast: the column to freeze, as `adapt` gives it; `params["new"]` freezes it as it was meta-learned.
      inputs: inputs of one task, leaves [N, ...], for their shapes.
      key: of the new column's weights.
    Raises:
      ValueError: a state that is not of floats, which cannot be kept among params.
    """
    kinds = {str(leaf.dtype) for leaf in jax.tree.leaves(state) if not jnp.issubdtype(leaf.dtype, jnp.floating)}
    if kinds:
        raise ValueError(f"grow keeps a frozen column's state in params, which are floats, got {sorted(kinds)}.")
    columns = [*params["columns"], {**fast, "state": state}]
    column, state = init_column(layers, inputs, run_frozen(layers, columns, inputs, key), key)
    return {"columns": columns, "new": column}, state


def column_outputs(layers: Sequence[Model], params: PyTree, index: int, inputs: PyTree, key: Key) -> PyTree:
    """Outputs of frozen column `index`, in [0, number of frozen columns), in prediction.

    Raises:
      ValueError: no such column.
    """
    if not 0 <= index < len(params["columns"]):
        raise ValueError(f"index must lie in [0, {len(params['columns'])}), the frozen columns, got {index}.")
    return run_frozen(layers, params["columns"][: index + 1], inputs, key)[index][-1]
