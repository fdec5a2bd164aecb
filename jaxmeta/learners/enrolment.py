"""Enrolment: a class is the direction of its mean support embedding, and the score is the cosine to it.

Chung et al. 2020, "In defence of metric learning for speaker recognition" (arXiv 2003.11982), section 2.3.
"""

from jaxmeta.learners.labels import class_means
from jaxmeta.objective import after_adaptation
from jaxmeta.speaker_losses import unit
from jaxmeta.types import Loss, MetaLearner, Model


def enrolment(encoder: Model, loss: Loss, ways: int) -> MetaLearner:
    """Enrols classes, such as speakers, and scores by the cosine to each one's prototype; no inner loop.

    With `speaker_losses.margin_softmax(margin=0)` this is the angular prototypical network.
    Args:
      encoder: Model mapping inputs to embeddings [N, E]; params are its weights.
      loss: (cosines [N, C], targets [N]) -> [N], used on the query set.
      ways: number of classes C, 1 or more: one alone is verified by a threshold on its cosine. fast is the unit
        prototypes [C, E].
    Raises:
      ValueError: support labels that are not integers in [0, C), or a class without a support example. Under jit and
        vmap values cannot be seen: there the prototypes concerned are NaN, and so is the loss of the task.
    Source: Chung et al. 2020, eq. 5.

    >>> learner = enrolment(encoder, cross_entropy, ways=3)
    >>> params, state = learner.init(key, support.inputs)
    >>> jax.eval_shape(learner.adapt, params, state, support, key)[0].shape
    (3, 2)
    """

    def adapt(params, state, support, key):
        embeddings, _ = encoder.apply(params, state, support.inputs, key, True)
        return unit(class_means(unit(embeddings), support.targets, support.weight, ways, least=1)), {}

    def predict(params, state, fast, inputs, key, train):
        embeddings, state = encoder.apply(params, state, inputs, key, train)
        return unit(embeddings) @ fast.T, state

    return MetaLearner(encoder.init, adapt, predict, after_adaptation(adapt, predict, loss))
