"""Proto-MAML: a linear head that starts from class prototypes, then adapts together with the encoder.

Triantafillou, Zhu, Dumoulin et al. 2020, "Meta-Dataset: a dataset of datasets for learning to learn from few
examples" (arXiv 1903.03096).
"""

import jax
import jax.numpy as jnp
import optax

from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.learners.labels import class_means
from jaxmeta.objective import after_adaptation, supervised
from jaxmeta.types import Inner, Loss, MetaLearner, Model


def proto_maml(
    encoder: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    ways: int,
    estimator: Estimator = unrolled(),
) -> MetaLearner:
    """Head and encoder adapt by gradient descent, from the head that makes the network a prototypical one.

    The head is not meta-learned, so the number of ways may be another one at test time; the meta-gradient reaches the
    encoder's weights through the prototypes as well.
    Args:
      encoder: Model mapping inputs to embeddings [N, F]; params are its weights.
      loss: (outputs [N, C], targets [N]) -> [N], used on support and query.
      optimizer: inner optimizer, any differentiable optax transformation.
      steps: inner steps, 0 or more; at 0 the logits are those of `protonet`, up to a constant of each row.
      ways: number of classes C; targets lie in [0, C).
      estimator: how the meta-gradient passes through the steps.
    fast is {"encoder": weights, "head": {"kernel" [F, C], "bias" [C]}}.
    Raises:
      ValueError: support labels that are not integers in [0, C), or a class without a support example. Under jit and
        vmap values cannot be seen: there the head is NaN, and so is the loss of the task.
    Source: Triantafillou et al. 2020, the paragraph on Proto-MAML (W = 2 c, b = -|c|^2).
    """

    def apply(fast, state, inputs, key, train):
        embeddings, state = encoder.apply(fast["encoder"], state, inputs, key, train)
        return embeddings @ fast["head"]["kernel"] + fast["head"]["bias"], state

    objective = supervised(Model(encoder.init, apply), loss)
    solve = estimator(
        Inner(
            lambda fast, params, state, batch, key: objective(fast, state, batch, key),
            lambda params: optimizer,
            steps,
        )
    )

    def adapt(params, state, support, key):
        prototypes_key, key = jax.random.split(key)
        embeddings, _ = encoder.apply(params, state, support.inputs, prototypes_key, True)
        means = class_means(embeddings, support.targets, support.weight, ways)
        head = {"kernel": 2 * means.T, "bias": -jnp.sum(jnp.square(means), axis=1)}
        return solve({"encoder": params, "head": head}, params, state, support, key)

    def predict(params, state, fast, inputs, key, train):
        return apply(fast, state, inputs, key, train)

    return MetaLearner(encoder.init, adapt, predict, after_adaptation(adapt, predict, loss))
