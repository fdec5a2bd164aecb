"""Several objectives over one network: each learner adapts and predicts by itself, all of them train it together.

Chen et al. 2018, "GradNorm: gradient normalization for adaptive loss balancing in deep multitask networks" (arXiv
1711.02257).
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from jaxmeta.types import MetaLearner, PyTree


def joint(learners: Mapping[str, MetaLearner]) -> MetaLearner:
    """What is said and who says it, say: learners by name, whose params are those of one network.

    Wherever a learner takes an episode, a support set or `fast`, this one takes a mapping of names to them, and gives
    predictions by name: objectives may come with recordings of their own in training, and share one support set in use.
    The meta loss is the sum of theirs. Its gradient is the sum of their gradients over all params, each brought to the
    same norm, the mean of all norms: no unit, number of classes or difficulty makes one of them drown the others. So it
    is not the derivative of the sum, and has no derivative itself.
    Args:
      learners: by name; their `init` draw the same params and state, of which the first one's are taken.
    Raises:
      ValueError: no learners; at trace time, an episode that lacks one of the names.
    Source: Chen et al. 2018, eq. 1 with alpha = 0. Differs: weights bring the norms together at once, not by steps of
      their own, and the norm is over all params that an objective moves.
    """
    if not learners:
        raise ValueError("joint needs one learner at least, got none.")
    first = next(iter(learners.values()))

    def adapt(params, state, support, key):
        _check(learners, support)
        adapted = {
            name: learner.adapt(params, state, support[name], jax.random.fold_in(key, index))
            for index, (name, learner) in enumerate(learners.items())
        }
        return {name: fast for name, (fast, _) in adapted.items()}, {name: info for name, (_, info) in adapted.items()}

    def predict(params, state, fast, inputs, key, train):
        _check(learners, fast)
        outputs = {}
        for index, (name, learner) in enumerate(learners.items()):
            own = jax.random.fold_in(key, index)
            outputs[name], state = learner.predict(params, state, fast[name], inputs, own, train)
        return outputs, state

    def losses(take: Callable, params, state, episode, key) -> tuple[list[PyTree], PyTree]:
        """What `take` makes of each learner's meta loss, and the state after all of them."""
        values = []
        for index, (name, learner) in enumerate(learners.items()):
            value, state = take(learner.meta_loss)(params, state, episode[name], jax.random.fold_in(key, index))
            values.append(value)
        return values, state

    @jax.custom_vjp
    def total(params, state, episode, key):
        values, state = losses(lambda loss: loss, params, state, episode, key)
        return sum(values), state

    def forward(params, state, episode, key):
        def differentiated(loss):
            def run(*arguments):
                (value, state), gradient = jax.value_and_grad(loss, has_aux=True)(*arguments)
                return (value, gradient), state

            return run

        pairs, state = losses(differentiated, params, state, episode, key)
        return (sum(value for value, _ in pairs), state), _balanced([gradient for _, gradient in pairs])

    def backward(gradient, cotangents):
        scale, _ = cotangents
        return jax.tree.map(lambda leaf: (scale * leaf).astype(leaf.dtype), gradient), None, None, None

    total.defvjp(forward, backward)

    def meta_loss(params, state, episode, key):
        _check(learners, episode)
        return total(params, state, {name: episode[name] for name in learners}, key)

    return MetaLearner(first.init, adapt, predict, meta_loss)


def _balanced(gradients: list[PyTree]) -> PyTree:
    """The sum of gradients, each brought to the mean of their norms; one of zero stays so."""
    norms = [optax.tree.norm(gradient) for gradient in gradients]
    mean = sum(norms) / len(norms)
    scales = [mean / jnp.where(norm > 0, norm, 1) for norm in norms]
    scaled = [jax.tree.map(lambda leaf, s=scale: (s * leaf).astype(leaf.dtype), gradient)
              for scale, gradient in zip(scales, gradients, strict=True)]  # fmt: skip
    return jax.tree.map(lambda *leaves: sum(leaves), *scaled)


def _check(learners: Mapping[str, MetaLearner], given: PyTree) -> None:
    if not isinstance(given, Mapping) or not learners.keys() <= given.keys():
        held = sorted(given) if isinstance(given, Mapping) else type(given).__name__
        raise ValueError(f"joint learns {sorted(learners)} and needs a mapping of these names, got {held}.")
