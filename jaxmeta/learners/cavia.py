"""CAVIA: a context vector adapts to the task; the network that reads it is meta-learned and shared.

Zintgraf, Shiarlis, Kurin, Hofmann and Whiteson 2019, "Fast context adaptation via meta-learning" (arXiv 1810.03642).
"""

import jax
import jax.numpy as jnp
import optax

from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.objective import after_adaptation, supervised
from jaxmeta.types import Array, Inner, Loss, MetaLearner, Model, PyTree, Ragged


def cavia(
    model: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    size: int,
    estimator: Estimator = unrolled(),
) -> MetaLearner:
    """A context vector adapts by gradient descent on the support loss, from zero in every task.

    Args:
      model: network of the pair (inputs, context [size]), such as `append_context` makes; params are its weights.
      loss: (outputs, targets) -> [N], used on support and query.
      optimizer: inner optimizer, any differentiable optax transformation. The gradient of a context is small at
        first; the paper's rates are 0.1 to 1 and above.
      steps: inner steps, 0 or more.
      size: numbers in the context, 1 or more. fast is the context.
      estimator: how the meta-gradient passes through the steps.
    Raises:
      ValueError: size below 1.
    Source: Zintgraf et al. 2019, section 3.1.
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}.")
    objective = supervised(model, loss)

    def inner_loss(fast, params, state, batch, key):
        return objective(params, state, batch._replace(inputs=(batch.inputs, fast)), key)

    solve = estimator(Inner(inner_loss, lambda params: optimizer, steps))

    def init(key, inputs):
        return model.init(key, (inputs, jnp.zeros(size)))

    def adapt(params, state, support, key):
        context = jnp.zeros(size, jnp.result_type(float, *jax.tree.leaves(params)))
        return solve(context, params, state, support, key)

    def predict(params, state, fast, inputs, key, train):
        return model.apply(params, state, (inputs, fast), key, train)

    return MetaLearner(init, adapt, predict, after_adaptation(adapt, predict, loss))


def append_context(model: Model) -> Model:
    """A model of (inputs, context) out of one of inputs: the context is appended to the features of every example.

    Args:
      model: of arrays [N, ..., F] or of Ragged values [N, T, ..., F]; its first layer sees F + size features, and
        lengths as they are.
    Raises:
      ValueError: at trace time, inputs that are neither an array nor Ragged.
    """

    def join(pair):
        inputs, context = pair
        if isinstance(inputs, Ragged):
            return inputs._replace(values=_append(inputs.values, context))
        return _append(inputs, context)

    return Model(
        lambda key, pair: model.init(key, join(pair)),
        lambda params, state, pair, key, train: model.apply(params, state, join(pair), key, train),
    )


def _append(values: PyTree, context: Array) -> Array:
    if not hasattr(values, "shape") or values.ndim < 2:
        raise ValueError(
            f"append_context needs inputs [N, ..., F] or Ragged, got {jax.tree.map(jnp.shape, values)}; write a model "
            "of (inputs, context) instead."
        )
    return jnp.concatenate([values, jnp.broadcast_to(context, (*values.shape[:-1], len(context)))], axis=-1)
