"""UNICORN-MAML: MAML whose linear head starts from one vector for all classes, so that their order means nothing.

Ye and Chao 2022, "How to train your MAML to excel in few-shot classification" (arXiv 2106.16245).
"""

import jax
import jax.numpy as jnp
import optax

from jaxmeta.estimators import Estimator, unrolled
from jaxmeta.objective import after_adaptation, supervised
from jaxmeta.types import Inner, Loss, MetaLearner, Model


def unicorn_maml(
    encoder: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    ways: int,
    estimator: Estimator = unrolled(),
) -> MetaLearner:
    """Head and encoder adapt by gradient descent; the head starts from a meta-learned vector, the same for each class.

    Before the first step no class is favoured, and permuted labels give permuted outputs. The number of ways may be
    another one at test time.
    Args:
      encoder: Model mapping inputs to embeddings [N, F]; params are {"encoder": its weights, "head" [F]}.
      loss: (outputs [N, C], targets [N]) -> [N], used on support and query.
      optimizer: inner optimizer, any differentiable optax transformation.
      steps: inner steps, 0 or more; at 0 all classes are alike.
      ways: number of classes C; targets lie in [0, C).
      estimator: how the meta-gradient passes through the steps.
    fast is {"encoder": weights, "head": {"kernel" [F, C], "bias" [C]}}.
    Source: Ye and Chao 2022, section 6.
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

    def init(key, inputs):
        body_key, head_key = jax.random.split(key)
        params, state = encoder.init(body_key, inputs)
        embeddings = jax.eval_shape(lambda: encoder.apply(params, state, inputs, key, False)[0])
        size = embeddings.shape[-1]
        return {"encoder": params, "head": jax.random.normal(head_key, (size,), embeddings.dtype) / size**0.5}, state

    def adapt(params, state, support, key):
        vector = params["head"]
        head = {"kernel": jnp.repeat(vector[:, None], ways, axis=1), "bias": jnp.zeros(ways, vector.dtype)}
        return solve({"encoder": params["encoder"], "head": head}, params, state, support, key)

    def predict(params, state, fast, inputs, key, train):
        return apply(fast, state, inputs, key, train)

    return MetaLearner(init, adapt, predict, after_adaptation(adapt, predict, loss))
