"""Prototypical networks: a class is the mean of its support embeddings, the nearest mean wins.

Snell, Swersky and Zemel 2017, "Prototypical networks for few-shot learning" (arXiv 1703.05175).
"""

import jax.numpy as jnp

from jaxmeta.learners.labels import class_means
from jaxmeta.objective import after_adaptation
from jaxmeta.types import Loss, MetaLearner, Model


def protonet(encoder: Model, loss: Loss, ways: int) -> MetaLearner:
    """Classifies by the squared Euclidean distance to each class's mean embedding; no inner loop.

    Args:
      encoder: Model mapping inputs to embeddings [N, F]; params are its weights.
      loss: (outputs [N, C], targets [N]) -> [N], used on the query set.
      ways: number of classes C; targets lie in [0, C). fast is the prototypes [C, F].
    Raises:
      ValueError: support labels that are not integers in [0, C), or a class without a support example. Under jit and
        vmap values cannot be seen: there the prototypes concerned are NaN, and so is the loss of the task.
    Source: Snell et al. 2017, eq. 1 and 2.

    >>> learner = protonet(encoder, cross_entropy, ways=3)
    >>> params, state = learner.init(key, support.inputs)
    >>> jax.eval_shape(learner.adapt, params, state, support, key)[0].shape
    (3, 2)
    """

    def adapt(params, state, support, key):
        embeddings, _ = encoder.apply(params, state, support.inputs, key, True)
        return class_means(embeddings, support.targets, support.weight, ways), {}

    def predict(params, state, fast, inputs, key, train):
        embeddings, state = encoder.apply(params, state, inputs, key, train)
        return -jnp.sum(jnp.square(embeddings[:, None] - fast), axis=-1), state

    return MetaLearner(encoder.init, adapt, predict, after_adaptation(adapt, predict, loss))
