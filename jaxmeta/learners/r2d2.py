"""R2-D2: a ridge-regression head solved in closed form on each support set.

Bertinetto, Henriques, Torr and Vedaldi 2019, "Meta-learning with differentiable closed-form solvers"
(arXiv 1805.08136).
"""

import jax
import jax.numpy as jnp

from jaxmeta.learners.labels import one_hot
from jaxmeta.objective import after_adaptation
from jaxmeta.types import Array, Batch, Loss, MetaLearner, Model


def r2d2(encoder: Model, loss: Loss, ways: int | None = None, scale: float | None = None) -> MetaLearner:
    """Ridge regression from the features to one-hot labels, or to the targets themselves; no inner loop.

    Works in the dual, so the solve is [N, N]: right for any N, and quick where N is below the feature size F.
    Args:
      encoder: Model mapping inputs to features [N, F].
      loss: (outputs, targets) -> [N], used on the query set.
      ways: number of classes C; targets lie in [0, C), outputs are logits [N, C]. A class without a support example
        is regressed to 0. None: targets are floats [N, D] and so are outputs; a constant 1 is appended to the
        features, so that the regression has an offset, which the ridge shrinks like every other coefficient.
      scale: initial factor of the outputs. None: 10 for classes, as outputs near 0 and 1 are too flat for logits;
        1 without `ways`.
    params is {"encoder", "log_ridge", "scale", "bias"}, the last three scalars, from ridge 1 and bias 0; fast is the
    map W [F, C], or [F + 1, D] without `ways`; outputs are scale X W + bias.
    Raises:
      ValueError: support labels that are not integers in [0, C), or targets that are not floats [N, D]. Under jit and
        vmap values cannot be seen: there a wrong label makes W NaN, and so the loss of the task.
    Source: Bertinetto et al. 2019, eq. 4 to 6. Differs: the bias of classes is learned, not regressed.
    """
    initial = scale if scale is not None else 1.0 if ways is None else 10.0

    def init(key, inputs):
        params, state = encoder.init(key, inputs)
        dtype = jnp.result_type(float, *jax.tree.leaves(params))
        scalars = {"log_ridge": 0.0, "scale": initial, "bias": 0.0}
        return {"encoder": params, **{name: jnp.array(value, dtype) for name, value in scalars.items()}}, state

    def features(params, state, inputs, key, train):
        hidden, state = encoder.apply(params["encoder"], state, inputs, key, train)
        if ways is None:
            hidden = jnp.concatenate([hidden, jnp.ones_like(hidden[:, :1])], axis=1)
        return hidden, state

    def adapt(params, state, support, key):
        hidden, _ = features(params, state, support.inputs, key, True)
        return ridge_map(hidden, _targets(support, ways, hidden.dtype), support.weight, params["log_ridge"]), {}

    def predict(params, state, fast, inputs, key, train):
        hidden, state = features(params, state, inputs, key, train)
        return params["scale"] * (hidden @ fast) + params["bias"], state

    return MetaLearner(init, adapt, predict, after_adaptation(adapt, predict, loss))


def ridge_map(features: Array, targets: Array, weight: Array, log_ridge: Array) -> Array:
    """The W [F, C] that minimises sum_n weight_n |x_n W - y_n|^2 + exp(log_ridge) |W|^2.

    Args:
      features: [N, F].
      targets: [N, C].
      weight: [N], 0 or more; rows of weight 0 are inert.
      log_ridge: scalar.
    Source: Bertinetto et al. 2019, eq. 5 (Woodbury). Differs: rows have weights.
    """
    dtype = jnp.promote_types(features.dtype, jnp.float32)  # There is no bfloat16 solver.
    # The square root has no derivative at 0.
    root = jnp.where(weight > 0, jnp.sqrt(jnp.where(weight > 0, weight, 1)), 0).astype(dtype)[:, None]
    rows = features.astype(dtype) * root
    # GPUs round float32 products to ten bits by default; that error may exceed the ridge.
    gram = jnp.matmul(rows, rows.T, precision="highest")
    ridge = jnp.exp(log_ridge.astype(dtype)) * jnp.eye(len(rows), dtype=dtype)
    dual = jax.scipy.linalg.solve(gram + ridge, targets.astype(dtype) * root, assume_a="pos")
    return (rows.T @ dual).astype(features.dtype)


def _targets(support: Batch, ways: int | None, dtype: jnp.dtype) -> Array:
    targets = support.targets
    if ways is not None:
        return one_hot(targets, support.weight, ways, dtype, every_class=False)
    if targets.ndim != 2 or not jnp.issubdtype(targets.dtype, jnp.floating):
        raise ValueError(
            f"without ways, targets must be floats [N, D], got {targets.dtype}{list(targets.shape)}; "
            "pass ways for class labels."
        )
    return targets
