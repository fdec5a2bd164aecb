"""Matching networks: a query takes the labels of the support examples that it attends to.

Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra 2016, "Matching networks for one shot learning"
(arXiv 1606.04080).
"""

import jax
import jax.numpy as jnp

from jaxmeta.learners.labels import one_hot
from jaxmeta.objective import after_adaptation
from jaxmeta.types import Array, Loss, MetaLearner, Model

_SHORTEST = 1e-6
"""Embeddings below this length are divided by it, so that the derivative at 0 is finite."""


def matching(encoder: Model, loss: Loss, ways: int, scale: float = 10.0) -> MetaLearner:
    """Classifies by the attention that falls on each class's support examples; no inner loop.

    Args:
      encoder: Model mapping inputs to embeddings [N, F]; params are its weights.
      loss: (outputs [N, C], targets [N]) -> [N], used on the query set. Outputs are log-probabilities: the log of the
        summed attention of each class.
      ways: number of classes C; targets lie in [0, C).
      scale: factor of the cosines in the softmax, above 0.
    fast is {"embeddings" [N, F] of unit length, "labels" [N, C]: one-hot rows times the support weights}.
    Raises:
      ValueError: scale not above 0; support labels that are not integers in [0, C), or a class without a support
        example. Under jit and vmap values cannot be seen: there the outputs are NaN, and so is the loss of the task.
    Source: Vinyals et al. 2016, eq. 1 with the attention of section 2.1.1, and eq. 2. Differs: no full context
      embeddings; one encoder for support and query; cosines are scaled, as with scale 1 they differ by 2 at most,
      which leaves the one right example among five a probability of 0.65 at best.
    """
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}.")

    def adapt(params, state, support, key):
        embeddings, _ = encoder.apply(params, state, support.inputs, key, True)
        labels = one_hot(support.targets, support.weight, ways, embeddings.dtype, every_class=True)
        weight = support.weight[:, None].astype(embeddings.dtype)
        return {"embeddings": _unit(embeddings), "labels": labels * weight}, {}

    def predict(params, state, fast, inputs, key, train):
        embeddings, state = encoder.apply(params, state, inputs, key, train)
        scores = scale * (_unit(embeddings) @ fast["embeddings"].T)
        # In logs class by class: attention too small for a float would be log 0.
        attention = jax.nn.logsumexp(scores[:, :, None], axis=1, b=fast["labels"])
        return jax.nn.log_softmax(attention), state

    return MetaLearner(encoder.init, adapt, predict, after_adaptation(adapt, predict, loss))


def _unit(embeddings: Array) -> Array:
    squared = jnp.sum(jnp.square(embeddings), axis=-1, keepdims=True)
    return embeddings * jax.lax.rsqrt(jnp.maximum(squared, _SHORTEST**2))
