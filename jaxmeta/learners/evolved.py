"""ES-MAML: any meta-learner trained by evolution strategies, without differentiating anything.

Song, Gao, Yang, Choromanski, Pacchiano and Tang 2020, "ES-MAML: simple Hessian-free meta learning" (arXiv 1910.01215).
"""

import jax

from jaxmeta.estimators.evolution import check_smoothing, smoothed_gradient
from jaxmeta.types import MetaLearner


def evolved(learner: MetaLearner, sigma: float, pairs: int) -> MetaLearner:
    """The same learner, whose meta_loss has the antithetic evolution-strategies estimate of its gradient in params.

    The learner adapts, predicts and scores as before; only what differentiating meta_loss returns is another thing: the
    estimate for the meta-loss smoothed by noise of size sigma. Its error falls with the square root of pairs and grows
    with that of the number of params. A learner's own gradient steps remain: they are part of what is run.
    Args:
      learner: any; its estimator is never asked, so `first_order()` costs least to compile.
      sigma: standard deviation of the noise, above 0, in the units of params; well above their rounding.
      pairs: pairs of evaluations of the meta-loss, 1 or more; they run in turn, so memory does not grow with them.
    Raises:
      ValueError: sigma of 0 or less, or pairs below 1.
    Source: Song et al. 2020, section 3. Differs: pairs share the random numbers of adaptation and of the query pass,
      which leaves less noise in their difference; state is that of the unperturbed params.

    >>> learner = evolved(maml(model, cross_entropy, optax.sgd(0.1), steps=5), sigma=0.1, pairs=4)
    >>> params, state = learner.init(key, support.inputs)
    >>> tree.paths(jax.eval_shape(learner.adapt, params, state, support, key)[0])  # what adapts
    ['body/kernel', 'head/kernel']
    """
    check_smoothing("evolved", sigma, pairs)
    meta_loss = jax.custom_vjp(learner.meta_loss)

    def forward(*arguments):
        return meta_loss(*arguments), arguments

    def backward(arguments, cotangents):
        params, state, episode, key = arguments
        gradient = smoothed_gradient(
            lambda params: learner.meta_loss(params, state, episode, key)[0],
            lambda plus, minus: cotangents[0] * (plus - minus),
            params,
            sigma,
            pairs,
            key,
        )
        return gradient, None, None, None

    meta_loss.defvjp(forward, backward)
    return learner._replace(meta_loss=meta_loss)
